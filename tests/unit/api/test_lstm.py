import datetime

import pytest

from vaka.api.architectures import hyperparameters, options


def test_dates_of_yaml_are_texts() -> None:
    assert options("lstm", {"end": datetime.date(2018, 12, 31)}).end == "2018-12-31"


def test_what_is_wrong_with_a_series_names_field_and_value() -> None:
    with pytest.raises(ValueError, match=r"spec.dataset.options.gap is unknown to lstm: did you mean gaps"):
        options("lstm", {"gap": "fill"})
    with pytest.raises(ValueError, match=r"spec.dataset.options.frequency is 'daily'"):
        options("lstm", {"frequency": "daily"})
    with pytest.raises(ValueError, match=r"spec.model.hyperparameters.horizon is 0"):
        hyperparameters("lstm", {"horizon": 0})
