from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("consents", "0002_refusals_lodged_by_firms")]

    operations = [
        migrations.AddIndex(
            model_name="authorization",
            index=models.Index(fields=["firm", "id"], name="authorization_by_page"),
        ),
    ]
