"""What pairs can have in common at most, and which of them are worth asking about."""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence

from dpsynth.data.domain import Clique
from dpsynth.pgm.model import GraphicalModel


def differing(model: GraphicalModel) -> dict[str, float]:
    """Return attribute -> how probably two records differ in it, from 0 to 1."""
    shares = {a: model.marginal((a,)) / model.total for a in model.domain.attributes}
    return {a: max(0.0, 1.0 - float((of**2).sum())) for a, of in shares.items()}


def most_dependence(model: GraphicalModel, pairs: Sequence[Clique]) -> dict[Clique, float]:
    """Return how far each pair can be from independence in L1, given its columns; in records.

    Give every record another one's code of the first attribute, drawn at random: the pair is
    independent then, and only records whose code has changed have moved from cell to cell. So the
    total variation is at most the probability that two records differ in it, or in the second.

    Args:
        model: what is known of the columns; its total is the number of records.
        pairs: of its attributes.
    """
    moved = differing(model)
    return {pair: 2.0 * model.total * min(moved[a] for a in pair) for pair in pairs}


def worth_asking(most: Mapping[Clique, float], noise: Callable[[int], float]) -> list[Clique]:
    """Return the pairs that could show more than noise hides: as many as hold of them together.

    The fewer are asked for their errors at once, the less noise these have.

    Args:
        most: what each pair can show.
        noise: number of pairs that are asked -> deviation of each answer, which grows with it.
    """
    ranked = sorted(most, key=lambda pair: -most[pair])

    def hidden(i: int) -> float:
        return noise(i + 1) - most[ranked[i]]

    asked = set(ranked[: bisect_right(range(len(ranked)), 0.0, key=hidden)])
    return [pair for pair in most if pair in asked]
