"""Translation with an LSTM encoder-decoder and attention."""

from pathlib import Path

from vaka.api.architectures.seq2seq import Seq2Seq
from vaka.api.dataset import DatasetSpec
from vaka.data.text_pairs import TextPairs
from vaka.models.architecture import Learner
from vaka.models.seq2seq.data import training_pairs
from vaka.models.seq2seq.evaluation import calibration, evaluate

__all__ = ["TASK", "calibration", "evaluate", "learner", "read"]

TASK = "translation"


def read(source: Path, spec: DatasetSpec, scratch: Path) -> TextPairs:
    """Pairs of a table, a folder of tables or an archive of them."""
    return training_pairs(source, spec, scratch)


def learner(data: TextPairs, hyperparameters: Seq2Seq, device: str) -> Learner:
    """A training run on these pairs."""
    from vaka.models.seq2seq.translation_learner import TranslationLearner  # imports torch

    return TranslationLearner(data, hyperparameters, device)
