from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("record", "0002_keys_in_use"),
    ]

    operations = [
        migrations.AlterField(
            model_name="event",
            name="verb",
            field=models.CharField(
                choices=[
                    ("row.carried_over", "carried over into a new form"),
                    ("firm.registered", "firm registered"),
                    ("firm.approved", "firm approved"),
                    ("firm.approval_ended", "approval ended"),
                    ("credential.issued", "key issued"),
                    ("credential.revoked", "key revoked"),
                    ("calling_number.submitted", "calling number submitted"),
                    ("calling_number.added", "calling number added"),
                    ("calling_number.withdrawn", "calling number withdrawn"),
                    ("mandate.proposed", "mandate proposed"),
                    ("mandate.confirmed", "mandate confirmed"),
                    ("mandate.ended", "mandate ended"),
                    ("licence.granted", "licence granted"),
                    ("licence.ended", "licence ended"),
                    ("wording.added", "wording added"),
                    ("matter.submitted", "matter submitted"),
                    ("matter.approved", "matter approved"),
                    ("matter.withdrawn", "matter withdrawn"),
                    ("purpose.added", "purpose added"),
                    ("policy.published", "policy published"),
                    ("sanction.proposed", "sanction proposed"),
                    ("sanction.approved", "sanction approved"),
                    ("sanction.lifted", "sanction lifted"),
                    ("subscriber.added", "subscriber added"),
                    ("holding.opened", "holding opened"),
                    ("holding.claimed", "holding claimed"),
                    ("holding.ended", "holding ended"),
                    ("registration.made", "registered"),
                    ("registration.ended", "registration ended"),
                    ("authorization.granted", "authorized"),
                    ("authorization.ended", "authorization ended"),
                    ("refusal.made", "firm refused"),
                    ("refusal.lodged", "refusal lodged by a firm"),
                    ("refusal.lifted", "refusal lifted"),
                    ("preference.set", "preference set"),
                    ("preference.ended", "preference ended"),
                ],
                max_length=40,
            ),
        ),
    ]
