"""One webhook's attempt: whatever its URL holds, an answer comes back, and the environment has no say in it."""

import pytest

from circuit_sync.events.webhooks import Sender, SyncEvent, Webhook
from circuit_sync_tests.events.listening import NOW
from circuit_sync_tests.workstudio.scripted_server import Reply, serving

EVENT = SyncEvent(1, "sync.started", {"sync_id": 7}, NOW, "circuit_list", "ACTIV", False)


@pytest.mark.parametrize(
    "url", [f"https://{'a' * 64}.example.com/T0SECRET", "https://a..b/T0SECRET", "https://[abc]/T0SECRET"]
)
def test_a_host_that_cannot_be_looked_up_is_an_answer_like_any_failure(url: str) -> None:
    with Sender() as sender:
        error = sender.send(Webhook(1, url), EVENT).error
    assert error is not None
    assert error.startswith("no answer (")
    assert "SECRET" not in error


def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    with serving(Reply()) as receiver, serving(Reply(status=502)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        with Sender() as sender:
            assert sender.send(Webhook(1, receiver.url), EVENT).error is None
    assert len(receiver.requests) == 1
    assert proxy.requests == []


def test_a_webhook_keeps_its_place_in_the_setting_and_is_one_however_often_it_is_named() -> None:
    first, second = "https://a.example.com", "slack+https://a.example.com"
    assert [webhook.place for webhook in Webhook.parse_all([first, first, second])] == [1, 3]
