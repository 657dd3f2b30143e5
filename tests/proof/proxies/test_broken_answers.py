"""Tests that a list cut off behind nginx is invalid JSON, and with HTTP/1.1 an error too."""

from __future__ import annotations

import http.client
import json
from pathlib import Path

import pytest

from tests.proof.proxies.nginx import nginx
from tests.service.test_streams import fill, is_second_page
from tests.support.backends import Backend
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Fault
from tests.support.service import CALL_TIMEOUT_SECONDS, Service

AS_IT_COMES = "location / {{ proxy_pass http://127.0.0.1:{port}; {more} }}"
NEWER = 'proxy_http_version 1.1; proxy_set_header Connection "";'


@pytest.fixture
def broken(couch: Backend, proxy: FaultProxy) -> Backend:
    """A store that fails in the middle of a list."""
    fill(couch)
    return couch.through(proxy.url)


@pytest.mark.parametrize("more", ["", NEWER], ids=["HTTP/1.0", "HTTP/1.1"])
def test_a_truncated_list_is_not_valid_json(
    broken: Backend, proxy: FaultProxy, tmp_path: Path, more: str
) -> None:
    with (
        Service(broken.environment, tmp_path) as service,
        nginx(tmp_path, AS_IT_COMES.format(port=service.port, more=more)) as port,
    ):
        proxy.fault = Fault(Answer(500), is_second_page)
        talk = http.client.HTTPConnection("127.0.0.1", port, timeout=CALL_TIMEOUT_SECONDS)
        talk.request("GET", "/zerglings/")
        response = talk.getresponse()
        assert response.status == 200
        if more:
            with pytest.raises(http.client.IncompleteRead) as cut:
                response.read()
            text = cut.value.partial
        else:
            text = response.read()  # which looks complete
        response.close()
        talk.close()
    assert text.startswith(b'{"zerglings":[')
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)
