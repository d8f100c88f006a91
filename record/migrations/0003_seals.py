from typing import Any

from django.db import migrations, models

from record import guards, seals


def seal(apps: Any, schema_editor: Any) -> None:
    guards.take_off(schema_editor.connection, "record_event")
    seals.seal_chains(apps.get_model("record", "Event"), schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("record", "0002_keys_in_use")]

    operations = [
        migrations.AddField(
            model_name="event",
            name="seal",
            field=models.BinaryField(default=b"", max_length=17),
            preserve_default=False,
        ),
        migrations.RunPython(seal, migrations.RunPython.noop),
    ]
