"""How good a translator is, from its translations and likelihoods alone."""

from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from vaka.api.dataset import DatasetSpec
from vaka.artifacts.runtime import Predict
from vaka.data.text_pairs import Pairs, TextPairs
from vaka.models.architecture import Evaluation, Inputs, Metrics, Published
from vaka.models.seq2seq.data import parts, training_pairs
from vaka.models.seq2seq.model import Coder

SEEN = 500
"""How many pairs of the training data are translated, to say how well they were learned."""
SAMPLES = 200
"""How many pairs show which values there are between the layers."""


def measures(predict: Predict, coder: Coder, pairs: Pairs) -> Metrics:
    """chrF2 and BLEU of sacrebleu (0 to 100), exact matches (0 to 1), and the loss in nats per subword.

    Popović 2015; Papineni et al. 2002; Post 2018. A source beyond the limits is translated to nothing; a
    target beyond them counts in all measures but the loss.
    """
    translations, losses = coder.translated(predict, pairs)
    loss = {"loss": losses.total / losses.subwords} if losses.subwords else {}
    return scores(translations, pairs.targets) | loss


def scores(translations: Sequence[str], references: Sequence[str]) -> Metrics:
    from sacrebleu import corpus_bleu, corpus_chrf

    right = sum(found == wanted for found, wanted in zip(translations, references, strict=True))
    return {
        "chrf": corpus_chrf(translations, [references]).score,
        "bleu": corpus_bleu(translations, [references]).score,
        "exactMatch": right / len(references),
    }


def test(predict: Predict, coder: Coder, data: TextPairs) -> Metrics:
    """The measures on held-out pairs and, named `train...`, on pairs that were trained on."""
    seen = measures(predict, coder, data.train.first(SEEN))
    held_out = measures(predict, coder, data.validation)
    return held_out | {f"train{name[0].upper()}{name[1:]}": value for name, value in seen.items()}


def samples(coder: Coder, data: TextPairs) -> list[Inputs]:
    """Training pairs, one by one."""
    return [
        coder.inputs([coder.vocabulary.encode(source)], [coder.target(target)])
        for source, target in data.train.first(SAMPLES).pairs()
    ]


def calibration(
    model: Published, source: Path, spec: DatasetSpec, scratch: Path
) -> tuple[list[Inputs], Callable[[Predict], Metrics]]:
    """Samples and test of any text pairs; DatasetError where they cannot be read."""
    data = training_pairs(source, spec, scratch)
    coder = Coder.of(model.manifest, model.folder)
    return samples(coder, data), lambda predict: test(predict, coder, data)


def evaluate(predict: Predict, model: Published, source: Path, options: Evaluation) -> dict[str, Any]:
    """The measures on any text pairs; DatasetError where they cannot be read."""
    found = parts(source, options.format, options.options, options.scratch)
    pairs, coder = found.choose(options.split, source), Coder.of(model.manifest, model.folder)
    started = perf_counter()
    measured = measures(predict, coder, pairs)
    seconds = perf_counter() - started
    notes = list(found.notes)
    if long := sum(not coder.fits(coder.vocabulary.encode(text)) for text in pairs.sources):
        notes.append(f"{long:,} sources have more than {coder.limits.source} subwords: not translated")
    if long := sum(not coder.target(text) for text in pairs.targets):
        notes.append(f"{long:,} targets have more than {coder.limits.target} subwords: not in the loss")
    return measured | {"count": len(pairs), "samplesPerSecond": len(pairs) / seconds, "notes": notes}
