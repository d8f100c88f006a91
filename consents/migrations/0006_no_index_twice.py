import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Columns that an index of more columns begins with need no index of their own; each row pays for it."""

    dependencies = [("consents", "0005_imports")]

    operations = [
        migrations.AlterField(
            model_name="authorization",
            name="firm",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="authorizations",
                to="telemarketers.firm",
            ),
        ),
        migrations.AlterField(
            model_name="authorization",
            name="holding",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="authorizations",
                to="consents.holding",
            ),
        ),
        migrations.AlterField(
            model_name="holding",
            name="number",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="holdings",
                to="record.number",
            ),
        ),
        migrations.AlterField(
            model_name="preference",
            name="holding",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="preferences",
                to="consents.holding",
            ),
        ),
        migrations.AlterField(
            model_name="refusal",
            name="holding",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="refusals",
                to="consents.holding",
            ),
        ),
        migrations.AlterField(
            model_name="registration",
            name="holding",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="registrations",
                to="consents.holding",
            ),
        ),
    ]
