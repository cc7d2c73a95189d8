import pytest

from vaka.api.architectures import hyperparameters, options


def test_what_is_wrong_with_a_series_names_field_and_value() -> None:
    with pytest.raises(ValueError, match=r"spec.dataset.options.gap is unknown to lstm: did you mean gaps"):
        options("lstm", {"gap": "fill"})
    with pytest.raises(ValueError, match=r"spec.dataset.options.frequency is 'daily'"):
        options("lstm", {"frequency": "daily"})
    with pytest.raises(ValueError, match=r"spec.model.hyperparameters.horizon is 0"):
        hyperparameters("lstm", {"horizon": 0})
