"""The endpoints as tools of a language model: what is offered, answered and refused."""

import asyncio
import base64
import io
import json

import gradio as gr
import pytest
from app_fixtures import label_of, scene
from app_server import serving
from patience import PATIENCE
from PIL import Image

import app
from ferce.ui.web import Settings, api


def photo(*levels):
    buffer = io.BytesIO()
    Image.fromarray(scene(*levels)).save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


async def talk(url, calls):
    """Names of the tools, and the answers to the calls."""
    import httpx
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async with (
        httpx.AsyncClient(timeout=PATIENCE, follow_redirects=True) as client,
        streamable_http_client(f"{url}/gradio_api/mcp/", http_client=client) as (receive, send, _),
        ClientSession(receive, send) as session,
    ):
        await session.initialize()
        tools = {tool.name: tool for tool in (await session.list_tools()).tools}
        return tools, [await session.call_tool(name, given) for name, given in calls]


def test_tools_answer_and_read_no_files_of_the_server():
    calls = [
        ("read", {"photo": photo(10)}),
        ("ask", {"photo": photo(10), "question": "Is the mouth open?"}),
        ("compare", {"photo": photo(10), "names": "embedded"}),
        ("read", {"photo": "/etc/passwd"}),
        ("read", {"photo": "http://127.0.0.1:1/x.png"}),
    ]
    with serving(mcp=True) as url:
        tools, answers = asyncio.run(talk(url, calls))
    assert {"read", "ask", "compare"} <= set(tools)
    assert not {"batch", "read_1"} & set(tools)
    assert "300 characters" in json.dumps(tools["ask"].inputSchema)
    texts = [answer.content[0].text for answer in answers]
    assert label_of(10) in texts[0]
    assert "bright, of 18 letters" in texts[1]
    assert "embedded" in texts[2]
    assert [answer.isError for answer in answers] == [False, False, False, True, True]
    assert "127.0.0.1 is no public machine" in texts[4]


def test_a_fault_of_an_endpoint_is_one_sentence():
    def read(photo):
        """Read."""
        raise ZeroDivisionError("secret path")

    with pytest.raises(gr.Error, match="fault in ferce") as raised:
        api._guarded(read)(None)
    assert "secret" not in str(raised.value)
    assert api._guarded(read).__doc__ == "Read."


def test_nothing_is_served_unless_asked_for():
    assert app.options(Settings())["mcp_server"] is False
    assert app.options(Settings.from_environment({"FERCE_MCP": "1"}))["mcp_server"] is True
    with pytest.raises(ValueError, match="FERCE_MCP must be 1"):
        Settings.from_environment({"FERCE_MCP": "yes"})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("FERCE_MCP", "yes", "ferce: FERCE_MCP must be 1"),
        ("FERCE_MODELS", "measured", "ferce: FERCE_MODELS lists classifiers"),
    ],
)
def test_a_wrong_setting_ends_the_start_in_one_sentence(monkeypatch, name, value, words):
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match=words):
        app.main()


def test_the_missing_package_is_named(monkeypatch):
    monkeypatch.setenv("FERCE_MCP", "1")
    monkeypatch.setattr(app, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="pip install"):
        app.main()
