"""The ruling through the real database and the real verbs, against a slow and obvious model (tests/consents/model.py).

Random worlds are lived through by the verbs that the doors call; then questions are asked about instants past,
present and to come, one number at a time and all at once, and the model is asked the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consents import actions, check, facts
from consents.check import Asked
from consents.decision import Ruling
from consents.facts import Asking
from consents.models import Authorization, Holding
from consents.terms import HoldingSource, Reason
from dncregistry.errors import Refused
from record import audit
from record.ledger import OPERATOR
from record.models import User
from record.numbers import PhoneNumber, parse_caller
from telemarketers import shipped
from telemarketers.actions import firms, rules
from telemarketers.models import CallingNumber, Credential, Firm, Licence, Mandate, Matter, Purpose, Sanction
from telemarketers.terms import Channel, PurposeKind, Step
from tests import world
from tests.consents import model
from tests.consents.model import Act, Question, Told
from tests.world import START, SUBSCRIBER

LINES = {"lender": "+861065529988", "shop": "95188", "centre": "+862161234567"}
CREDIT_CODES = {"lender": "91110000MA0000001L", "shop": "91310000MA1FL0001R", "centre": "91310000MA1FL0002W"}
RANGES = ("+8610", "95", "+862161234567")
MANDATES = (("centre", "lender"), ("centre", "shop"))
PURPOSES = {"loan_finance": "marketing", "retail": "marketing", "verification": "service"}
MARKETING = [code for code, kind in PURPOSES.items() if kind == "marketing"]
# Of whom, for what. The last one waits for its approval when the worlds begin.
MATTERS = {
    "spring-loan": ("lender", "loan_finance"),
    "car-loan": ("lender", "loan_finance"),
    "codes": ("lender", "verification"),
    "sale": ("shop", "retail"),
    "shop-codes": ("shop", "verification"),
    "late-loan": ("lender", "loan_finance"),
}
WAITING = "late-loan"
CHANNELS = ("voice", "robocall", "sms")

ALICE, BOB, NEVER_SEEN = "+8613800138000", "+8613900139000", "+8613700137000"
HELD = (ALICE, BOB)
CALLEES = [check.read_callee(spelled) for spelled in (ALICE, BOB, NEVER_SEEN, "138 0013 800")]

AT_ONCE = timedelta(0)
GAPS = [*[AT_ONCE] * 4, timedelta(minutes=7), timedelta(hours=1), timedelta(hours=9), *map(timedelta, (1, 2, 9, 32))]
NUDGES = [timedelta(microseconds=-1), AT_ONCE, timedelta(microseconds=1), timedelta(minutes=-7), timedelta(days=1)]
# Local hours of questions: most within the shipped hours for calling, some at their edges, some outside.
CLOCK = (600, 600, 601, 642, 645, 719, 720, 840, 870, 1000, 1019, 1190, 1199, 1200, 539, 540, 30, 1350)
OWN_HOURS = (None, None, (540, 720), (600, 1439), (0, 1440), (1080, 642), (1320, 601), (720, 720), (870, 1020))


@dataclass
class Registry:
    """What every world begins with: three firms in good standing, and no policy yet."""

    firms: dict[str, Firm]
    credentials: dict[str, Credential]
    matters: dict[str, Matter]
    staff: tuple[User, User]
    acts: list[Act]


@pytest.fixture
def registry(db: None) -> Iterator[Registry]:
    made = Registry(
        firms={},
        credentials={},
        matters={},
        staff=(
            User.objects.create_user("a@regulator.example", is_staff=True),
            User.objects.create_user("b@regulator.example", is_staff=True),
        ),
        acts=[],
    )
    for code, kind in PURPOSES.items():
        rules.add_purpose(code=code, kind=PurposeKind(kind), name_zh=code, name_en=code, by=OPERATOR, at=START)
    for name, credit_code in CREDIT_CODES.items():
        firm = world.firm(credit_code, name, START, *PURPOSES, line=LINES[name])
        made.firms[name] = firm
        made.credentials[name] = world.issue(firm, START)[0]
        made.acts.append(Act(START, "approves", firm=name))
        made.acts.append(Act(START, "adds line", firm=name, caller=LINES[name]))
        made.acts.extend(Act(START, "licenses", firm=name, purpose=purpose) for purpose in PURPOSES)
    for code, (owner, purpose) in MATTERS.items():
        matter = firms.submit_matter(
            firm=made.firms[owner],
            code=code,
            purpose=Purpose.objects.get(pk=purpose),
            title=code,
            wording="可以就此事给您打电话吗？",
            by=OPERATOR,
            at=START,
        )
        made.matters[code] = matter
        if code != WAITING:
            firms.approve_matter(matter=matter, by=OPERATOR, at=START)
            made.acts.append(Act(START, "approves matter", matter=code))
    for agent, client in MANDATES:
        mandate = firms.propose_mandate(agent=made.firms[agent], client=made.firms[client], by=OPERATOR, at=START)
        firms.confirm_mandate(mandate=mandate, by=OPERATOR, at=START)
        made.acts.append(Act(START, "confirms mandate", firm=agent, client=client))
    yield made
    forget_policies()


def forget_policies() -> None:
    """Worlds that are rolled back use a policy's id again, for other rules; a registry never does."""
    getattr(facts, "_known_rules", {}).clear()


@dataclass
class Life:
    """A random course of events: each told to the registry by its verb, and to the model as a plain act."""

    registry: Registry
    random: Random
    at: datetime = START
    acts: list[Act] = field(default_factory=list)
    versions: int = 0

    def __post_init__(self) -> None:
        self.acts = list(self.registry.acts)
        self.zone = self.random.choice(["Asia/Shanghai", "Asia/Shanghai", "Asia/Urumqi"])
        # What most of this world is about, so that one act bears on another.
        self.focus = self.random.choice(["spring-loan", "spring-loan", "sale"])
        self.publish_policy()

    def live(self, steps: int) -> None:
        """Citizens say more than the regulator decides, but some worlds are worse than others."""
        trouble = self.random.choice([0, 0, 2, 5])
        for _ in range(steps):
            self.at += self.random.choice(GAPS)
            side = self.of_firms() if self.random.randrange(10) < trouble else self.of_citizens()
            try:
                self.random.choice(side)()
            except Refused:
                continue  # a verb that says no changes nothing, and the model hears nothing

    def of_citizens(self) -> list[Callable[[], None]]:
        often = [self.authorize] * 10 + [self.campaign] * 6 + [self.register] * 4 + [self.revoke] * 4
        sometimes = [self.leave] * 2 + [self.refuse] * 2 + [self.prefer] * 2 + [self.publish_policy] * 2
        return [*often, *sometimes, self.claim, self.hand_over]

    def of_firms(self) -> list[Callable[[], None]]:
        standing = [self.turn_approval, self.turn_line, self.turn_mandate, self.turn_licence, self.turn_matter]
        return [*standing, *[self.restrict] * 3, self.lift, self.publish_policy]

    def did(self, what: str, **words: Any) -> None:
        self.acts.append(Act(self.at, what, **words))

    # --- the regulator and the firms -----------------------------------------------------------------

    def publish_policy(self) -> None:
        """At once if it may be, else with 30 days' notice."""
        choice = self.random.choice
        self.versions += 1
        document = {
            **shipped.policy("china"),
            "zone": self.zone,
            "stances": choice(
                [
                    {"loan_finance": "consent", "retail": "open"},
                    {"loan_finance": "open", "retail": "open"},
                    {"loan_finance": "open"},
                ]
            ),
            "hours": choice([[["09:00", "12:00"], ["14:00", "20:00"]], [["09:00", "17:00"]], [["00:00", "24:00"]]]),
            "calls_on_public_holidays": choice([False, False, True]),
            "cap_days": choice([1, 2, 3]),
            "cap_window_days": choice([30, 30, 5]),
            "check_valid_minutes": choice([15, 15, 15, 60]),
            "authorization_months_most": choice([24, 6]),
            "suspension_days": choice([15, 3]),
            "bar_months": choice([12, 1]),
            "holidays": choice([[], ["2026-01-22"]]),
            "working_weekends": choice([[], ["2026-01-24"]]),
        }
        for starts in (self.at, self.at + timedelta(days=30)):
            if any(act.starts == starts for act in self.acts):
                continue  # no two begin in the same microsecond
            try:
                rules.publish_policy(
                    version=f"v{self.versions}", document=document, starts=starts, by=OPERATOR, at=self.at
                )
            except Refused:
                continue
            self.did("publishes policy", starts=starts, document=document)
            return

    def turn_approval(self) -> None:
        name = self.random.choice(list(LINES))
        firm = self.registry.firms[name]
        present = firm.approvals.in_force(self.at).first()
        if present is None:
            firms.approve_firm(firm=firm, by=OPERATOR, at=self.at)
            self.did("approves", firm=name)
        else:
            firms.end_approval(approval=present, by=OPERATOR, at=self.at)
            self.did("unapproves", firm=name)

    def turn_line(self) -> None:
        """Withdrawn from whoever has it, or given to anybody."""
        line = self.random.choice(list(LINES.values()))
        present = CallingNumber.objects.in_force(self.at).filter(number=line).first()
        if present is None:
            name = self.random.choice(list(LINES))
            firms.add_calling_number(
                firm=self.registry.firms[name], number=parse_caller(line), display_name="", by=OPERATOR, at=self.at
            )
            self.did("adds line", firm=name, caller=line)
        else:
            firms.withdraw_calling_number(calling_number=present, by=OPERATOR, at=self.at)
            self.did("withdraws line", firm=self.name_of(present.firm), caller=line)

    def turn_mandate(self) -> None:
        """Ended; or proposed, and mostly confirmed at once, for else it may be withdrawn unconfirmed."""
        agent, client = self.random.choice(MANDATES)
        pair = {"agent": self.registry.firms[agent], "client": self.registry.firms[client]}
        present = Mandate.objects.filter(**pair, ends__isnull=True).first()
        if present is None:
            present = firms.propose_mandate(**pair, by=OPERATOR, at=self.at)
        if present.starts is None and self.random.random() < 0.7:
            firms.confirm_mandate(mandate=present, by=OPERATOR, at=self.at)
            self.did("confirms mandate", firm=agent, client=client)
        elif self.random.random() < 0.7:
            firms.end_mandate(mandate=present, by=OPERATOR, at=self.at)
            self.did("ends mandate", firm=agent, client=client)

    def turn_licence(self) -> None:
        name, purpose = MATTERS[self.matter(list(MATTERS))]
        firm = self.registry.firms[name]
        present = Licence.objects.in_force(self.at).filter(firm=firm, purpose=purpose).first()
        if present is None:
            firms.grant_licence(
                firm=firm, purpose=Purpose.objects.get(pk=purpose), document="", by=OPERATOR, at=self.at
            )
            self.did("licenses", firm=name, purpose=purpose)
        else:
            firms.end_licence(licence=present, by=OPERATOR, at=self.at)
            self.did("unlicenses", firm=name, purpose=purpose)

    def turn_matter(self) -> None:
        """Approved if it waits for that; once withdrawn it never comes back."""
        code = self.random.choice([*MATTERS, WAITING])
        matter = Matter.objects.get(pk=self.registry.matters[code].pk)
        if matter.starts is None and self.random.random() < 0.8:
            firms.approve_matter(matter=matter, by=OPERATOR, at=self.at)
            self.did("approves matter", matter=code)
        else:
            firms.withdraw_matter(matter=matter, by=OPERATOR, at=self.at)
            self.did("withdraws matter", matter=code)

    def restrict(self) -> None:
        """Of a firm, a line or a range. One in five is only ever proposed."""
        name = self.random.choice(list(LINES))
        words: dict[str, str] = self.random.choice(
            [{"firm": name}, {"caller": LINES[name]}, {"range": self.random.choice(RANGES)}]
        )
        steps = [Step.SUSPENSION, Step.SUSPENSION, Step.BAR, Step.RECTIFICATION, Step.REMINDER]
        step = self.random.choice([*steps, Step.BRAKE] if "caller" in words else steps)
        covers_service = step != Step.BRAKE and self.random.random() < 0.3
        proposer, decider = self.registry.staff
        sanction = rules.propose_sanction(
            step=step,
            reason="五人投诉",
            rule="管理办法第三条",
            remedy="整改",
            firm=self.registry.firms[name] if "firm" in words else None,
            caller=words.get("caller", ""),
            caller_range=words.get("range", ""),
            covers_service=covers_service,
            codes_meanwhile="由营业厅发放" if covers_service else "",
            by=proposer,
            at=self.at,
        )
        if self.random.random() < 0.8:
            rules.approve_sanction(sanction=sanction, by=decider, at=self.at)
            self.did("restricts", number=sanction.pk, step=step.value, covers_service=covers_service, **words)

    def lift(self) -> None:
        present = list(Sanction.objects.in_force(self.at).order_by("pk"))
        if present:
            sanction = self.random.choice(present)
            rules.lift_sanction(sanction=sanction, by=self.registry.staff[0], at=self.at)
            self.did("lifts", number=sanction.pk)

    def name_of(self, firm: Firm) -> str:
        return next(name for name, known in self.registry.firms.items() if known == firm)

    # --- the holders of numbers ----------------------------------------------------------------------

    def someone(self) -> tuple[str, Holding]:
        callee = self.random.choice([ALICE, ALICE, BOB])
        holding = actions.hold(number=PhoneNumber(callee), source=HoldingSource.OPERATOR, by=SUBSCRIBER, at=self.at)
        return callee, holding

    def matter(self, others: Sequence[str]) -> str:
        return self.focus if self.random.random() < 0.7 else self.random.choice(others)

    def some_channels(self) -> frozenset[str]:
        return frozenset(self.random.choice([CHANNELS, CHANNELS, ("voice",), ("voice", "sms"), ("robocall",)]))

    def register(self) -> None:
        callee, holding = self.someone()
        codes = self.random.choice([(), (), ("retail",), ("loan_finance",), ("retail", "loan_finance")])
        purposes = list(Purpose.objects.filter(pk__in=codes))
        channels = self.some_channels()
        ticked = [
            grant.pk
            for grant in actions.contradicted(holding, purposes, mask(channels), self.at).order_by("pk")
            if self.random.random() < 0.4
        ]
        actions.register(
            holding=holding, purposes=purposes, channels=mask(channels), keep=ticked, by=SUBSCRIBER, at=self.at
        )
        self.did("registers", callee=callee, purposes=codes, channels=channels, keep=frozenset(ticked))

    def leave(self) -> None:
        callee, holding = self.someone()
        actions.leave(holding=holding, by=SUBSCRIBER, at=self.at)
        self.did("leaves", callee=callee)

    def refuse(self) -> None:
        callee, holding = self.someone()
        name = self.random.choice(["lender", "shop"])
        actions.refuse_firm(holding=holding, firm=self.registry.firms[name], by=SUBSCRIBER, at=self.at)
        self.did("refuses", callee=callee, firm=name)

    def authorize(self) -> None:
        callee, holding = self.someone()
        about = self.matter(["spring-loan", "car-loan", "sale", WAITING])
        name, purpose = MATTERS[about]
        matter = self.random.choice([about, about, ""])
        channels, months, cap = (
            self.some_channels(),
            self.random.choice([1, 1, 1, 2, 13]),
            self.random.choice([None, 1, 2]),
        )
        granted = actions.authorize(
            holding=holding,
            firm=self.registry.firms[name],
            about=self.registry.matters[matter] if matter else Purpose.objects.get(pk=purpose),
            channels=mask(channels),
            months=months,
            cap_days=cap,
            by=SUBSCRIBER,
            at=self.at,
        )
        words: dict[str, Any] = {"firm": name, "purpose": purpose, "matter": matter, "channels": channels}
        self.did("authorizes", callee=callee, number=granted.pk, months=months, cap=cap, **words)

    def revoke(self) -> None:
        given = list(Authorization.objects.in_force(self.at).order_by("pk"))
        if given:
            grant = self.random.choice(given)
            actions.revoke(authorizations=Authorization.objects.filter(pk=grant.pk), by=SUBSCRIBER, at=self.at)
            self.did("revokes", number=grant.pk)

    def prefer(self) -> None:
        callee, holding = self.someone()
        weekday, rest_day = self.random.choice(OWN_HOURS), self.random.choice(OWN_HOURS)
        actions.set_preference(
            holding=holding, weekday=weekday, rest_day=rest_day, no_requests=False, by=SUBSCRIBER, at=self.at
        )
        self.did("prefers", callee=callee, weekday=weekday, rest_day=rest_day)

    def claim(self) -> None:
        """To prove a number says nothing about calls to it."""
        callee, _holding = self.someone()
        proved = actions.add_subscriber(by=SUBSCRIBER, at=self.at)
        actions.claim(number=PhoneNumber(callee), subscriber=proved, by=SUBSCRIBER, at=self.at)

    def hand_over(self) -> None:
        callee = self.random.choice(HELD)
        keeps = self.random.random() < 0.5
        proved = actions.add_subscriber(by=SUBSCRIBER, at=self.at)
        actions.hand_over(
            number=PhoneNumber(callee), subscriber=proved, keep_registration=keeps, by=SUBSCRIBER, at=self.at
        )
        self.did("hands over", callee=callee, keeps=keeps)

    # --- who asks ------------------------------------------------------------------------------------

    def campaign(self) -> None:
        """A firm asks about the same on some mornings in a row, and is told the truth as it stands."""
        asked = replace(self.plausible(), callee=self.random.choice(HELD))
        if asked.is_service:
            return
        spoken = Asked(
            caller=parse_caller(asked.caller),
            purpose="" if asked.matter else asked.purpose,
            matter=asked.matter,
            channel=Channel.named(asked.channel),
            on_behalf_of=CREDIT_CODES[asked.client] if asked.client else "",
        )
        for _ in range(self.random.randint(1, 3)):
            self.at = self.local(self.at + timedelta(days=1), 600)
            asked = replace(asked, at=self.at)
            answer = check.check(
                spoken, check.read_callee(asked.callee), credential=self.registry.credentials[asked.firm], at=self.at
            )
            self.compare(asked, answer.rulings[0])
            if answer.rulings[0].allowed:
                self.did(
                    "is told allow",
                    firm=asked.principal,
                    purpose=asked.purpose,
                    matter=asked.matter,
                    callee=asked.callee,
                )

    def questions(self, count: int) -> Iterator[Question]:
        """About calls past, present and to come: around every instant at which something changed, mostly by day."""
        lived = self.acts[len(self.registry.acts) :]
        instants = [self.at, self.at, *(act.at for act in lived), *(act.starts for act in lived if act.starts)]
        instants += Authorization.objects.values_list("ends", flat=True)
        instants += [end for end in Sanction.objects.values_list("ends", flat=True) if end]
        for _ in range(count):
            at = self.random.choice(instants) + self.random.choice(NUDGES)
            if self.random.random() < 0.7:
                at = self.local(at, self.random.choice(CLOCK))
            at = min(max(at, START), datetime(2026, 12, 31, tzinfo=UTC))  # the model knows the holidays of 2026
            asked = self.plausible() if self.random.random() < 0.8 else self.anyone()
            yield replace(asked, at=at)

    def plausible(self) -> Question:
        """A firm that asks about its own business, or the call centre about its client's."""
        choice = self.random.choice
        matter = self.matter(list(MATTERS))
        owner, purpose = MATTERS[matter]
        firm = choice([owner, owner, "centre"])
        return Question(
            firm=firm,
            client="" if firm == owner else owner,
            caller=LINES[firm],
            callee="",
            purpose=purpose,
            matter="" if self.random.random() < 0.3 else matter,
            channel=choice(["voice", "voice", "voice", *CHANNELS]),
            at=self.at,
        )

    def anyone(self) -> Question:
        """Any firm, for anyone, known or not, from anybody's line."""
        choice = self.random.choice
        asked = self.plausible()
        firm, client = choice(list(LINES)), choice(["", "nobody", *LINES])
        if client in (firm, "") and asked.matter and MATTERS[asked.matter][0] != firm:
            asked = replace(asked, matter="")  # another's matter is refused at the door
        return replace(asked, firm=firm, client="" if client == firm else client, caller=choice(list(LINES.values())))

    def local(self, at: datetime, minute: int) -> datetime:
        midnight = at.astimezone(model.WHERE_THE_NUMBERS_RING).replace(hour=0, minute=0, second=0, microsecond=0)
        return (midnight + timedelta(minutes=minute)).astimezone(UTC)

    # --- and what is answered ------------------------------------------------------------------------

    def asking(self, asked: Question) -> Asking:
        principal = self.registry.firms.get(asked.principal)
        return Asking(
            firm=self.registry.firms[asked.firm].pk,
            principal=principal.pk if principal else None,
            caller=asked.caller,
            purpose=asked.purpose,
            kind=PurposeKind(PURPOSES[asked.purpose]),
            matter=self.registry.matters[asked.matter].pk if asked.matter else None,
            channel=Channel.named(asked.channel),
        )

    def ask(self, asked: Question) -> list[Told]:
        """Many numbers at once against the model, and one of them alone against the many; returns what was told."""
        asking = self.asking(asked)
        _known, rulings = check.rule(asking, CALLEES, asked.at)
        for callee, ruling in zip(CALLEES, rulings, strict=True):
            self.compare(replace(asked, callee=callee.number.e164 if callee.number else ""), ruling)
        one = self.random.randrange(len(CALLEES))
        _known, alone = check.rule(asking, [CALLEES[one]], asked.at)
        assert alone == [rulings[one]], self.story(asked)
        return [told(ruling) for ruling in rulings]

    def compare(self, asked: Question, ruling: Ruling) -> None:
        expected = model.rule(self.acts, asked)
        assert told(ruling) == expected, f"the model says {expected} to {self.story(asked)}"

    def story(self, asked: Question) -> str:
        return "\n".join([f"{asked}", "after", *(f"  {act}" for act in self.acts[len(self.registry.acts) :])])


def mask(channels: frozenset[str]) -> Channel:
    named = Channel(0)
    for channel in channels:
        named |= Channel.named(channel)
    return named


def told(ruling: Ruling) -> Told:
    return Told(ruling.verdict.value, ruling.reason.value, ruling.inner.value, ruling.valid_until, grant=ruling.permit)


def live_and_ask(registry: Registry, random: Random) -> tuple[list[Act], list[Told]]:
    """One world, lived through, asked about, and undone: what was done in it, and what was answered."""
    with transaction.atomic():
        forget_policies()
        life = Life(registry, random)
        life.live(steps=random.randint(8, 36))
        answers = [answer for asked in life.questions(16) for answer in life.ask(asked)]
        transaction.set_rollback(True)
    return life.acts[len(registry.acts) :], answers


@pytest.mark.slow
@settings(
    max_examples=60,
    deadline=None,
    database=None,
    # Every example begins where the fixture left the database, for it is rolled back.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(random=st.randoms(use_true_random=False))
def test_the_ruling_is_the_models(registry: Registry, random: Random) -> None:
    live_and_ask(registry, random)


@pytest.mark.slow
def test_the_ruling_is_the_models_and_every_reason_occurs(registry: Registry) -> None:
    """The same with fixed seeds, so that it is known what has been compared."""
    done: Counter[str] = Counter()
    reached: Counter[tuple[str, str]] = Counter()
    for seed in range(120):
        acts, answers = live_and_ask(registry, Random(seed))
        done.update(act.did for act in acts)
        reached.update((answer.reason, answer.inner) for answer in answers)
    assert set(done) == model.ACTS
    assert {reason for reason, _inner in reached} == {reason.value for reason in Reason}
    hidden = {(shown, inner) for shown, inner in reached if shown != inner}
    assert ("no_authorization", "firm_refused") in hidden
    assert hidden <= {("no_authorization", "firm_refused"), ("authorization_revoked", "firm_refused")}


@pytest.mark.slow
def test_the_record_of_a_life_is_as_it_should_be(registry: Registry) -> None:
    for seed in range(6):
        with transaction.atomic():
            forget_policies()
            Life(registry, Random(seed)).live(steps=36)
            assert [str(each) for each in audit.in_rows(connection)] == []
            transaction.set_rollback(True)
