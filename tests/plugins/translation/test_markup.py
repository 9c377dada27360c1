"""HTML documents are translated with their tags kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from nlplug import Pipeline, pipeline
from nlplug.cli.main import main
from nlplug.errors import OptionError
from nlplug.models.bundle import Bundle
from nlplug.testing import tiny_translator
from nlplug_translation.markup import markup_pieces

PAGE = """<!DOCTYPE html>
<html lang="en"><head><title>A dog</title>
<style>p > b { color: red }</style><script>if (a < b) write("<p>The cat</p>");</script></head>
<body><!-- The cat sleeps. -->
<p class="x" title="The cat">The
  <b>cat</b> sees a <a href="?a=1&b">dog</a>.<br>A dog sleeps. <img src="a.png" alt='The dog'/></p>
<ul><li>A cat<li>The <code>dog</code> sleeps</ul>
<p translate="no">The cat</p><pre>a  cat</pre>
<p>5 &lt; 6. The cat &amp; the dog</body></html>
"""
TRANSLATED = """<!DOCTYPE html>
<html lang="fr"><head><title>Un chien</title>
<style>p > b { color: red }</style><script>if (a < b) write("<p>The cat</p>");</script></head>
<body><!-- The cat sleeps. -->
<p class="x" title="Le chat">Le <b>chat</b> voit un <a href="?a=1&b">chien</a>.<br>Un chien dort. \
<img src="a.png" alt='Le chien'/></p>
<ul><li>Un chat<li>Le <code>dog</code> dort</ul>
<p translate="no">The cat</p><pre>a  cat</pre>
<p>5 &lt; 6. Le chat &amp; le chien</body></html>
"""
FRAGMENTS = (
    *("<p>", "</p>", "<b>", "</b>", "<i id='1'>", "</i>", "<br/>", "<wbr>", "</div>", "<li>"),
    *(
        "cat",
        " ",
        "\n",
        "5",
        "&amp;",
        "&lt;",
        "&#62;",
        "<",
        ">",
        "\"'",
        "{x0}",
        "{xx1}",
        "é😀",
        "&",
    ),
    *("<!-- a -->", "<!doctype html>", "<?php a ?>", "<![CDATA[a]]>", "<script>a<b</script>"),
    *(
        "<code>a b</code>",
        "<span translate=no>",
        "</span>",
        "<img alt='a dog'>",
        "<x0>",
        "<!--",
        "</",
    ),
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    pair = {"source_lang": "en", "target_lang": "fr"}
    return tiny_translator(tmp_path_factory.mktemp("tiny"), tokenizer_config=pair)


@pytest.fixture(scope="module")
def translate(bundle: Bundle) -> Pipeline:
    return pipeline("translation", bundle, tag_handling="html")


def test_text_and_attributes_are_translated_and_all_else_stays(translate: Pipeline) -> None:
    [answer] = translate(PAGE)
    assert answer["translation_text"] == TRANSLATED


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=20).map("".join))
def test_the_pieces_of_any_document_are_the_document(document: str) -> None:
    made = "".join(
        piece.restore(piece.text) if piece.restore else piece.text
        for piece in markup_pieces(document)
    )
    assert "".join(made.split()) == "".join(document.split())


def test_references_to_letters_become_letters_and_those_of_markup_stay() -> None:
    [piece] = markup_pieces("caf&eacute;s &amp; th&#233;&nbsp;&lt;b&gt;")
    assert piece.text == "cafés &amp; thé\u00a0&lt;b&gt;"


def test_attributes_are_escaped() -> None:
    pieces = markup_pieces('<img alt="a &quot;cat&quot; &amp; dog">')
    [text] = [piece for piece in pieces if piece.restore]
    assert text.text == 'a "cat" & dog'
    assert text.restore is not None
    assert text.restore('un "chat"') == "un &quot;chat&quot;"


def test_markup_without_protection_is_refused(translate: Pipeline) -> None:
    with pytest.raises(OptionError, match="protect is off"):
        translate(PAGE, protect=False)


def test_a_file_is_translated_on_the_command_line(bundle: Bundle, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(PAGE, "utf-8")
    given = ["run", "translation", "--model", str(bundle.path), "--text", f"@{file}", "--stream"]
    done = CliRunner().invoke(main, [*given, "--tag-handling", "html"])
    assert done.exit_code == 0
    assert done.stdout == TRANSLATED
