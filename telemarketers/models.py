"""Who may call, and on what terms: each a dated row, closed and never overwritten.

So that a call can be ruled on as things stood at its instant, standing is never stored: it follows from
approvals, licences and sanctions (telemarketers/standing.py).
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import get_language

from record.guards import AppendOnly, ClosesOnly, NeverChanged, NoOverlap
from record.models import Dated, DatedQuerySet, runs_forwards
from telemarketers.terms import NEEDS_TWO_PEOPLE, STOPS_CALLS, Mode, PurposeKind, Step


class Purpose(models.Model):
    """What a call is for: one of a closed list that the regulator keeps."""

    code = models.CharField(max_length=30, primary_key=True)
    kind = models.CharField(max_length=10, choices=PurposeKind)
    name_zh = models.CharField(max_length=50)
    name_en = models.CharField(max_length=50)

    guards = (AppendOnly(),)

    def __str__(self) -> str:
        return self.name_en if (get_language() or "").startswith("en") else self.name_zh


class PolicyQuerySet(models.QuerySet["Policy"]):
    def in_force(self, at: object) -> PolicyQuerySet:
        return self.filter(starts__lte=at).order_by("-starts")[:1]


class Policy(models.Model):
    """The regulator's rules from an instant until the next policy's. Never edited, only succeeded."""

    version = models.CharField(max_length=30, unique=True)
    starts = models.DateTimeField(unique=True)
    published_at = models.DateTimeField()
    document = models.JSONField()

    objects = PolicyQuerySet.as_manager()

    guards = (AppendOnly(),)

    class Meta:
        verbose_name_plural = "policies"
        constraints = [
            models.CheckConstraint(
                condition=Q(starts__gte=F("published_at")), name="policy_binds_nobody_before_it_is_out"
            )
        ]

    def __str__(self) -> str:
        return self.version


class Firm(models.Model):
    """An enterprise, known by its unified social credit code (GB 32100-2015, 18 characters)."""

    credit_code = models.CharField(max_length=18, unique=True)
    name = models.CharField(max_length=200)

    def __str__(self) -> str:
        return self.name


class Approval(Dated):
    """The regulator lets a firm into the registry."""

    firm = models.ForeignKey(Firm, models.PROTECT, related_name="approvals")

    guards = (ClosesOnly(), NoOverlap(("firm_id",)))

    class Meta:
        constraints = [runs_forwards("approval")]

    def __str__(self) -> str:
        return f"approval of {self.firm}"


class Credential(Dated):
    """An API key. Only its SHA-256 is kept: the key itself has 190 random bits, so a plain digest is safe."""

    firm = models.ForeignKey(Firm, models.PROTECT, related_name="credentials")
    mode = models.CharField(max_length=4, choices=Mode)
    scopes = models.JSONField()
    label = models.CharField(max_length=100, blank=True)
    digest = models.BinaryField(max_length=32, unique=True)
    hint = models.CharField(max_length=4)  # the key's last characters, to tell keys apart

    guards = (ClosesOnly(),)

    class Meta:
        constraints = [runs_forwards("credential")]

    def __str__(self) -> str:
        return f"dnc_{self.mode}_…{self.hint}"


class CallingNumber(Dated):
    """A number that a firm calls from: E.164, or a national service code. Public, so in clear.

    In force from the regulator's approval to its withdrawal. Several firms may wait for one number; one has it.
    """

    firm = models.ForeignKey(Firm, models.PROTECT, related_name="calling_numbers")
    number = models.CharField(max_length=24)
    display_name = models.CharField(max_length=100, blank=True)
    submitted_at = models.DateTimeField()
    starts = models.DateTimeField(null=True, blank=True)  # type: ignore[assignment]  # none while it waits

    guards = (ClosesOnly(once=("starts",)), NoOverlap(("number",)))

    class Meta:
        constraints = [runs_forwards("calling_number")]
        indexes = [models.Index(fields=["number", "starts"], name="calling_number_at")]

    def __str__(self) -> str:
        return self.number


class Mandate(Dated):
    """`agent` acts on behalf of `client` from when the client confirms it until either ends it."""

    agent = models.ForeignKey(Firm, models.PROTECT, related_name="mandates_held")
    client = models.ForeignKey(Firm, models.PROTECT, related_name="mandates_given")
    proposed_at = models.DateTimeField()
    starts = models.DateTimeField(null=True, blank=True)  # type: ignore[assignment]  # none while it waits

    guards = (ClosesOnly(once=("starts",)), NoOverlap(("agent_id", "client_id")))

    class Meta:
        constraints = [
            runs_forwards("mandate"),
            models.CheckConstraint(condition=~Q(agent=F("client")), name="mandate_is_given_to_another"),
        ]

    def __str__(self) -> str:
        return f"{self.agent} for {self.client}"


class Licence(Dated):
    """A firm may call for one purpose."""

    firm = models.ForeignKey(Firm, models.PROTECT, related_name="licences")
    purpose = models.ForeignKey(Purpose, models.PROTECT)
    document = models.CharField(max_length=200, blank=True)  # the permit it rests on

    guards = (ClosesOnly(), NoOverlap(("firm_id", "purpose_id")))

    class Meta:
        constraints = [runs_forwards("licence")]

    def __str__(self) -> str:
        return f"{self.firm}: {self.purpose_id}"


class Matter(Dated):
    """A concrete thing a firm wants to call about (事项); in force from approval to withdrawal."""

    firm = models.ForeignKey(Firm, models.PROTECT, related_name="matters")
    code = models.SlugField(max_length=50)  # chosen by the firm; its name in the HTTP contract
    purpose = models.ForeignKey(Purpose, models.PROTECT)
    title = models.CharField(max_length=100)
    submitted_at = models.DateTimeField()
    starts = models.DateTimeField(null=True, blank=True)  # type: ignore[assignment]  # none while it waits

    guards = (ClosesOnly(once=("starts",)),)

    class Meta:
        constraints = [
            runs_forwards("matter"),
            models.UniqueConstraint(fields=["firm", "code"], name="matter_code_is_one_of_its_firm"),
        ]

    def __str__(self) -> str:
        return self.title


class Wording(models.Model):
    """The exact text put to the citizen. A correction is a next version; a material change is a new matter."""

    matter = models.ForeignKey(Matter, models.PROTECT, related_name="wordings")
    version = models.PositiveSmallIntegerField()
    text = models.TextField()
    at = models.DateTimeField()

    guards = (AppendOnly(),)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["matter", "version"], name="wording_version_is_one_of_its_matter"),
            models.CheckConstraint(condition=Q(version__gte=1) & ~Q(text=""), name="wording_says_something"),
        ]

    def __str__(self) -> str:
        return f"{self.matter} v{self.version}"


class SanctionQuerySet(DatedQuerySet):
    def on_caller(self, number: str) -> SanctionQuerySet:
        """Those on this calling number or on a range that it lies in."""
        prefixes = [number[:length] for length in range(1, len(number) + 1)]
        return self.filter(Q(caller=number) | Q(caller_range__in=prefixes))


class Sanction(Dated):
    """A dated restriction on a firm, a calling number or a range; only proposed while it has no `starts`.

    Says why (law 7): the reason, the rule it rests on, how to remedy it, the papers that needs, and its end.
    """

    firm = models.ForeignKey(Firm, models.PROTECT, null=True, blank=True, related_name="sanctions")
    caller = models.CharField(max_length=24, blank=True)
    caller_range = models.CharField(max_length=24, blank=True)
    step = models.CharField(max_length=15, choices=Step)
    covers_service = models.BooleanField(default=False)
    codes_meanwhile = models.TextField(blank=True)  # how customers get their codes if service is covered (law 6)
    is_listed = models.BooleanField(default=False)
    reason = models.TextField()
    rule = models.TextField()
    remedy = models.TextField()
    papers = models.TextField(blank=True)
    proposed_at = models.DateTimeField()
    proposed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="sanctions_proposed"
    )
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="sanctions_approved"
    )
    starts = models.DateTimeField(null=True, blank=True)  # type: ignore[assignment]  # none while it waits

    objects = SanctionQuerySet.as_manager()  # type: ignore[misc]

    guards = (ClosesOnly(once=("approved_by_id", "starts")),)

    class Meta:
        constraints = [
            runs_forwards("sanction"),
            models.CheckConstraint(
                condition=Q(firm__isnull=False, caller="", caller_range="")
                | Q(~Q(caller=""), firm__isnull=True, caller_range="")
                | Q(~Q(caller_range=""), firm__isnull=True, caller=""),
                name="sanction_is_on_one_firm_number_or_range",
            ),
            models.CheckConstraint(
                condition=Q(approved_by__isnull=True) | ~Q(approved_by=F("proposed_by")),
                name="sanction_is_decided_by_two_people",
            ),
            models.CheckConstraint(
                condition=Q(starts__isnull=True)
                | Q(~Q(step__in=NEEDS_TWO_PEOPLE), is_listed=False)
                | Q(proposed_by__isnull=False, approved_by__isnull=False),
                name="sanction_in_force_was_approved",
            ),
            models.CheckConstraint(
                condition=~Q(step=Step.BRAKE) | Q(~Q(caller=""), covers_service=False, is_listed=False),
                name="sanction_brake_is_on_one_number_for_marketing",
            ),
            models.CheckConstraint(
                condition=~Q(step__in=STOPS_CALLS) | Q(starts__isnull=True) | Q(ends__isnull=False),
                name="sanction_that_stops_calls_has_an_end",
            ),
            models.CheckConstraint(
                condition=Q(covers_service=False) | ~Q(codes_meanwhile=""),
                name="sanction_of_service_says_how_codes_arrive",
            ),
            models.CheckConstraint(condition=~Q(reason="") & ~Q(rule="") & ~Q(remedy=""), name="sanction_says_why"),
        ]
        indexes = [
            models.Index(fields=["caller", "starts"], name="sanction_on_caller"),
            models.Index(fields=["caller_range", "starts"], name="sanction_on_range"),
        ]

    def __str__(self) -> str:
        return f"{self.step} of {self.firm or self.caller or self.caller_range}"


class IdempotencyKey(models.Model):
    """A request that was carried out under a key of the firm's choosing, for 24 hours (telemarketers/idempotency.py).

    Key and body may hold a subscriber's number: of either there is only a digest, encrypted under `number_key`.
    """

    firm = models.ForeignKey(Firm, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    route = models.CharField(max_length=100)
    name = models.BinaryField(max_length=32, unique=True)  # of firm, route and key
    body = models.BinaryField(max_length=32)
    number_key = models.PositiveSmallIntegerField()
    status = models.PositiveSmallIntegerField()  # that was answered
    result_kind = models.CharField(max_length=30)  # what was made, as events name it
    result_id = models.CharField(max_length=40)
    at = models.DateTimeField()

    guards = (NeverChanged(),)

    class Meta:
        indexes = [models.Index(fields=["at"], name="idempotency_key_by_age")]

    def __str__(self) -> str:
        return f"{self.route} at {self.at}"
