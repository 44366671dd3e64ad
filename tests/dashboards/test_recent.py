from dashboards.recent import shared


def test_a_figure_is_read_once_for_everybody_and_again_when_it_is_old(settings, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("dashboards.recent.time.monotonic", lambda: now[0])
    settings.DASHBOARD_SECONDS = 2.0
    reads = []

    @shared
    def figure(*, of: int | None = None) -> int:
        reads.append(of)
        return len(reads)

    assert [figure(), figure()] == [1, 1]
    assert figure(of=3) == 2
    now[0] += 2.5
    assert figure(of=3) == 3


def test_nothing_is_kept_where_the_time_is_zero(settings):
    settings.DASHBOARD_SECONDS = 0
    reads = []

    @shared
    def figure() -> int:
        reads.append(1)
        return len(reads)

    assert [figure(), figure()] == [1, 2]
