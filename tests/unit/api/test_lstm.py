import pytest

from vaka.api.architectures import hyperparameters, options


def test_what_is_wrong_with_a_series_names_field_and_value() -> None:
    with pytest.raises(ValueError, match=r"spec.dataset.options.gap is unknown to lstm: did you mean gaps"):
        options("lstm", {"gap": "fill"})
    with pytest.raises(ValueError, match=r"options.frequency is 'daily': expected `str` .*\(S\|T\|H\|"):
        options("lstm", {"frequency": "daily"})
    with pytest.raises(ValueError, match=r"spec.model.hyperparameters.horizon is 0"):
        hyperparameters("lstm", {"horizon": 0})
    with pytest.raises(ValueError, match=r"spec.dataset.options.holidays is \[1\]: expected `str`"):
        options("lstm", {"holidays": [1]})


def test_of_few_words_all_are_named() -> None:
    with pytest.raises(ValueError, match=r"gaps is 'Fill': invalid .* 'Fill': known are auto, fill, refuse"):
        options("lstm", {"gaps": "Fill"})
    with pytest.raises(ValueError, match=r"optimizer is 'sgd': .*: known are adamw, muon$"):
        hyperparameters("cnn", {"optimizer": "sgd"})
