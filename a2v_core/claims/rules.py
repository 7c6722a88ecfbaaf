"""The rules by which a claim gets its verdict: few, stated in the register, applied to numbers alone.

Every rule looks at one *arm* first (by default the recipe ``released`` measured as the paper defines it). When that
arm does not reproduce the claim but another recipe or definition does, the verdict is ``partly`` and the sentence
says which one: the number can be had, but not in the way the paper describes.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from a2v_core.claims.values import Arm, Measured, Values
from a2v_core.stats import interval_of_difference

REPRODUCED, PARTLY, NOT_REPRODUCED = "reproduced", "partly", "not reproduced"
NOT_YET_RUN, CANNOT_BE_RUN = "not yet run", "cannot be run here"
#: Every verdict, from the best to the absent.
VERDICTS = (REPRODUCED, PARTLY, NOT_REPRODUCED, NOT_YET_RUN, CANNOT_BE_RUN)


@dataclass(frozen=True)
class Judgement:
    """A verdict with the number it rests on and the sentence that says why."""

    verdict: str
    because: str
    ours: float | None = None
    low: float | None = None
    high: float | None = None


class Rule(BaseModel):
    """A rule that rests on measured numbers.

    `recipe` and `definition` name the arm that decides.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    recipe: str = "released"
    definition: str = "exact"

    @abstractmethod
    def results(self) -> tuple[str, ...]:
        """Identities of the numbers that the rule reads."""

    @abstractmethod
    def judge_arm(self, paper: float | str | None, values: Values, arm: Arm) -> Judgement | None:
        """The verdict from one arm alone; None when a number is missing there."""

    def judge(self, paper: float | str | None, values: Values) -> Judgement | None:
        """The verdict; None when the deciding arm has no number yet."""
        deciding = Arm(self.recipe, self.definition)
        first = self.judge_arm(paper, values, deciding)
        if first is None or first.verdict == REPRODUCED:
            return first
        others = [arm for arm in values.arms(self.results()) if self._differs(values, arm, deciding)]
        for arm in others:
            second = self.judge_arm(paper, values, arm)
            if second is not None and second.verdict == REPRODUCED:
                return replace(first, verdict=PARTLY, because=f"{first.because} Met in another way: {second.because}")
        tried = " No other recipe or definition on the page meets it." if others else ""
        return replace(first, because=first.because + tried)

    def _differs(self, values: Values, arm: Arm, deciding: Arm) -> bool:
        return any(values.find(id, arm) != values.find(id, deciding) for id in self.results())


class Equals(Rule):
    """An exact quantity (a count, a size): ours is the paper's, up to `tolerance` where the paper says "roughly"."""

    kind: Literal["equals"]
    result: str
    tolerance: float = Field(0.0, ge=0)

    def results(self) -> tuple[str, ...]:
        return (self.result,)

    def judge_arm(self, paper: float | str | None, values: Values, arm: Arm) -> Judgement | None:
        found = values.find(self.result, arm)
        if found is None:
            return None
        same = abs(found.value - float(paper)) <= self.tolerance
        slack = f" within {show(self.tolerance)}" if self.tolerance else ""
        relation = f"equals the paper's {show(paper)}{slack}" if same else f"differs from the paper's {show(paper)}"
        return _judgement(REPRODUCED if same else NOT_REPRODUCED, f"Ours, {describe(found)}, {relation}.", found)


class Within(Rule):
    """An estimate: the paper's value lies in our interval widened by `tolerance` on each side.

    The tolerance stands for the chance in the paper's own number, most often one training and one set of draws. An
    interval with a half-width above `widest` holds too much to confirm anything, and a single run has no interval:
    both give ``partly`` at best.
    """

    kind: Literal["within"]
    result: str
    tolerance: float = Field(ge=0)
    widest: float = Field(gt=0)

    def results(self) -> tuple[str, ...]:
        return (self.result,)

    def judge_arm(self, paper: float | str | None, values: Values, arm: Arm) -> Judgement | None:
        found = values.find(self.result, arm)
        if found is None:
            return None
        low, high = found.interval or (found.value, found.value)
        gap = max(low - float(paper), float(paper) - high, 0.0)
        ours, theirs = f"Ours, {describe(found)},", f"the paper's {show(paper)}"
        if gap > self.tolerance + 1e-12:
            side = "above" if low > float(paper) else "below"
            return _judgement(NOT_REPRODUCED, f"{ours} is {show(gap)} {side} {theirs} (tolerance "
                              f"{show(self.tolerance)}).", found)
        agreement = f"{ours} agrees with {theirs} within the tolerance of {show(self.tolerance)}"
        if found.interval is None:
            return _judgement(PARTLY, f"{agreement}, but it has no interval.", found)
        if (high - low) / 2 > self.widest:
            return _judgement(PARTLY, f"{agreement}, but the interval is too wide to confirm it (half-width "
                              f"{show((high - low) / 2)}, at most {show(self.widest)}).", found)
        return _judgement(REPRODUCED, f"{agreement}.", found)


class Bound(Rule):
    """A quantity that lies beyond a bound: the whole interval does (reproduced), or only the value (partly)."""

    kind: Literal["bound"]
    result: str
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _one_side(self) -> Bound:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("give exactly one of at_least and at_most")
        return self

    def results(self) -> tuple[str, ...]:
        return (self.result,)

    def judge_arm(self, paper: float | str | None, values: Values, arm: Arm) -> Judgement | None:
        found = values.find(self.result, arm)
        if found is None:
            return None
        low, high = found.interval or (found.value, found.value)
        if self.at_least is not None:
            spare, sure, limit = found.value - self.at_least, low - self.at_least, f"at least {show(self.at_least)}"
        else:
            spare, sure, limit = self.at_most - found.value, self.at_most - high, f"at most {show(self.at_most)}"
        ours = f"Ours, {describe(found)},"
        if spare < 0:
            return _judgement(NOT_REPRODUCED, f"{ours} is not {limit}.", found)
        if sure < 0:
            return _judgement(PARTLY, f"{ours} is {limit}, but its interval crosses the bound.", found)
        return _judgement(REPRODUCED, f"{ours} is {limit}.", found)


class Order(Rule):
    """One quantity lies above (or below) every one of others, by more than minus `margin`.

    Reproduced when the interval of each difference excludes the reverse, partly when all directions are right but an
    interval does not exclude it, not reproduced when a direction is reversed: one reversed direction decides, whatever
    those that have no result yet will say. The differences are taken as independent, which is cautious for runs that
    share seeds.
    """

    kind: Literal["order"]
    of: str
    than: tuple[str, ...] = Field(min_length=1)
    direction: Literal["greater", "smaller"] = "greater"
    margin: float = Field(0.0, ge=0)

    def results(self) -> tuple[str, ...]:
        return (self.of, *self.than)

    def judge_arm(self, paper: float | str | None, values: Values, arm: Arm) -> Judgement | None:
        ours, found = values.find(self.of, arm), {id: values.find(id, arm) for id in self.than}
        rivals = [rival for rival in found.values() if rival is not None]
        if ours is None or not rivals:
            return None
        ranked = [(*self._lead(ours, rival), rival) for rival in rivals]
        lead, low, high, rival = min(ranked, key=lambda entry: entry[0])
        absent = [f"`{id}`" for id, rival in found.items() if rival is None]
        if absent and lead > -self.margin:
            return None
        if lead <= -self.margin:
            verdict, word = NOT_REPRODUCED, "the order is not there"
        elif any(bottom is None or bottom <= -self.margin for _, bottom, _, _ in ranked):
            verdict, word = PARTLY, "the order is there, but chance is not excluded"
        else:
            verdict, word = REPRODUCED, "the order is there"
        sign = 1 if self.direction == "greater" else -1
        interval = "" if low is None else f" {show_interval(*sorted((sign * low, sign * high)))}"
        among = f" the closest of {len(rivals)}," if len(rivals) > 1 else ""
        allowed = f" (an opposite difference below {show(self.margin)} is allowed)" if self.margin else ""
        because = (f"`{ours.id}` is {describe(ours)};{among} `{rival.id}` is {describe(rival)}: difference "
                   f"{show(sign * lead)}{interval}, {word}{allowed}.")
        if absent:
            because += f" What {', '.join(absent)} will be cannot change that."
        ends = (None, None) if low is None else tuple(sorted((sign * low, sign * high)))
        return Judgement(verdict, because, sign * lead, *ends)

    def _lead(self, ours: Measured, rival: Measured) -> tuple[float, float | None, float | None]:
        """Difference in the claimed direction and its interval."""
        first, second = (ours, rival) if self.direction == "greater" else (rival, ours)
        difference = first.value - second.value
        if first.interval is None or second.interval is None:
            return difference, None, None
        return (difference, *interval_of_difference(first.value, first.interval, second.value, second.interval))

    def paper_difference(self, papers: dict[str, float | str | None]) -> float | None:
        """The same difference from the paper's own numbers, where the register holds them all."""
        numbers = [papers.get(id) for id in self.results()]
        if not all(isinstance(number, int | float) for number in numbers):
            return None
        differences = [numbers[0] - number for number in numbers[1:]]
        return round(min(differences) if self.direction == "greater" else max(differences), 10)


class AllOf(BaseModel):
    """A statement that is made of other claims, named by identity or by pattern (``obs1/highest/*``).

    Reproduced when all parts are; partly when at least half are or are partly; otherwise not. Parts that cannot be
    run here are left out of the count and exclude ``reproduced``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["all_of"]
    claims: tuple[str, ...] = Field(min_length=1)

    def judge(self, verdicts: list[str]) -> Judgement:
        """The verdict from the verdicts of the parts."""
        counts = {verdict: verdicts.count(verdict) for verdict in VERDICTS}
        listing = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
        because = f"Of its {len(verdicts)} parts: {listing}."
        judged = len(verdicts) - counts[CANNOT_BE_RUN]
        if not judged:
            return Judgement(CANNOT_BE_RUN, because)
        if counts[NOT_YET_RUN]:
            return Judgement(NOT_YET_RUN, because)
        if counts[REPRODUCED] == len(verdicts):
            return Judgement(REPRODUCED, because)
        return Judgement(PARTLY if 2 * (counts[REPRODUCED] + counts[PARTLY]) >= judged else NOT_REPRODUCED, because)


AnyRule = Annotated[Equals | Within | Bound | Order | AllOf, Field(discriminator="kind")]


def show(number: float | str | None) -> str:
    """A number for a reader: at most four significant digits, thousands grouped, no trailing zeros; text as it is."""
    if number is None or isinstance(number, str):
        return number or "—"
    if number == 0:
        return "0"
    if float(number).is_integer() and abs(number) < 1e15:
        return f"{number:,.0f}"
    if abs(number) >= 1e9 or abs(number) < 1e-4:
        return f"{number:.4g}"
    digits = max(0, 3 - math.floor(math.log10(abs(number))))
    if 99.99 < number < 100:
        digits = 4  # not all is not all: a share just below 100 must not read as 100
    text = f"{number:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def with_unit(number: float | str | None, unit: str) -> str:
    """:func:`show` with a unit, where there is a number to have it."""
    return show(number) if number is None or not unit else f"{show(number)} {unit}"


def show_interval(low: float, high: float) -> str:
    return f"[{show(low)}, {show(high)}]"


def describe(found: Measured) -> str:
    """A measured number with its interval, its arm and the number of samples (runs, or pre-trainings)."""
    interval = f" {show_interval(*found.interval)}" if found.interval else ""
    arm = str(Arm(found.recipe, found.definition))
    samples = f"{found.n:,} samples" if found.n > 1 else ""
    detail = ", ".join(filter(None, (arm, samples)))
    return f"{show(found.value)}{interval}" + (f" ({detail})" if detail else "")


def _judgement(verdict: str, because: str, found: Measured) -> Judgement:
    return Judgement(verdict, because, found.value, found.low, found.high)
