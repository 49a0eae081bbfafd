"""What generators of linked tables would refuse, seen before either table is asked anything."""

from typing import TYPE_CHECKING

from dpsynth.curator.knowledge import known_zeros
from dpsynth.errors import UnsupportedEventError
from dpsynth.generators.base import check_installed
from dpsynth.generators.marginal.pairs_first import PairsFirst
from dpsynth.generators.marginal.two_stage import TwoStage
from dpsynth.pgm.junction_tree import JunctionTree

if TYPE_CHECKING:
    from dpsynth.data.schema import Schema
    from dpsynth.generators.base import Generator
    from dpsynth.privacy.budget import Budget


def check_generator(
    generator: "Generator", schema: "Schema", budget: "Budget", accountant: str
) -> None:
    """Refuse what a fit would refuse of the schema alone, when the other table is fitted already.

    Args:
        generator: of units or of events.
        schema: of the table that it will see, `LinkedSchema.starts` or `transitions`.
        budget: the guarantee.
        accountant: the name of one whose budget can be shared out.

    Raises:
        UnknownNameError: a label, or an attribute of a pair, that the table lacks.
        InvalidValueError: pairs whose junction tree has too many cells.
        ContradictionError: constraints that leave no possible record.
        MissingExtraError: what it requires is not installed.
        UnsupportedEventError: DP-SGD, or Gaussian noise, which such an accountant cannot price.
    """
    check_installed(generator)
    generator.check_noise(accountant)
    if generator.needs_plan:
        rule = f"choose another generator than {generator.name!r}: training needs one of plans, as "
        rule += "'pld', and these cannot share out a budget between two tables"
        raise UnsupportedEventError(accountant, "DP-SGD", rule)
    zeros = known_zeros(schema, budget)
    if isinstance(generator, TwoStage) and generator.label is not None:
        schema.domain.canonical((generator.label,))
    if isinstance(generator, PairsFirst):
        JunctionTree.build(schema.domain, [*zeros, *generator.known_pairs(schema.domain)])
