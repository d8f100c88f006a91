from typing import Any

from django.db import migrations, models

from record import guards, seals


def seal(apps: Any, schema_editor: Any) -> None:
    guards.take_off(schema_editor.connection, "record_event")
    seals.seal_chains(apps.get_model("record", "Event"), schema_editor.connection)


class Migration(migrations.Migration):
    # Events that the migration of calling numbers writes are sealed here with the others.
    dependencies = [("record", "0003_verbs_of_firms_systems"), ("telemarketers", "0003_calling_numbers_wait")]

    operations = [
        migrations.AddField(
            model_name="event",
            name="seal",
            field=models.BinaryField(default=b"", max_length=17),
            preserve_default=False,
        ),
        migrations.RunPython(seal, migrations.RunPython.noop),
    ]
