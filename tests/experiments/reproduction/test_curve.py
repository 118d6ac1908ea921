"""The curves of Figure 6, over several seeds."""

from drepm_pyg.experiments.reproduction.kinds.curve import curve_of, landmarks


def test_a_curve_is_the_mean_over_the_seeds_that_have_the_epoch() -> None:
    assert curve_of([{0: 1.0, 1: 3.0}, {0: 2.0}]) == {0: 1.5, 1: 3.0}


def test_no_other_epoch_stands_for_a_best_one_without_a_value() -> None:
    assert landmarks([{0: 4.0, 1: 3.0, 3: 5.0}, {0: 2.0}], best=[1, 7]) == {
        "first epoch": 3.0,
        "least": 2.5,
        "best epoch": 3.0,
        "last epoch": 3.5,
    }
    assert landmarks([{0: 1.0}], best=[2])["best epoch"] is None
    assert set(landmarks([{}], best=[0]).values()) == {None}
