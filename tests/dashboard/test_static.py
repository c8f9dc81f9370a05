"""The files sent to browsers: ours or vendored as they say, with every icon that is asked for."""

import hashlib
import json
import re

from django.conf import settings

STATIC = settings.BASE_DIR / "static"
VENDOR = STATIC / "vendor"


def test_vendored_files_are_those_of_the_list_and_each_library_has_its_licence():
    libraries = json.loads((VENDOR / "vendor.json").read_text())
    listed = {name: digest for library in libraries for name, digest in library["files"].items()}
    found = {
        str(path.relative_to(VENDOR)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name != "vendor.json"
    }
    assert listed == found
    for library in libraries:
        assert library["version"] and library["licence"]
        assert any(name.endswith("/LICENSE") for name in library["files"])


def test_every_icon_asked_for_is_in_the_sprite():
    known = set(re.findall(r'<symbol id="([\w-]+)"', (STATIC / "icons.svg").read_text()))
    asked = set()
    for path in (settings.BASE_DIR / "templates").rglob("*.html"):
        text = path.read_text()
        asked |= set(re.findall(r'{% icon "([\w-]+)"', text)) | set(re.findall(r'icon="([\w-]+)"', text))
    words = (settings.BASE_DIR / "dashboard" / "words.py").read_text()
    asked |= set(re.findall(r'\("(?:ok|warn|bad|idle|go)", "([\w-]+)", gettext_lazy', words))
    asked |= set(re.findall(r'Said\(\s*"\w+",\s*"([\w-]+)"', words)) | set(re.findall(r'return "([\w-]+)", _', words))
    links = (settings.BASE_DIR / "dashboard" / "context.py").read_text()
    asked |= set(re.findall(r'link\("\w+", "([\w-]+)"', links))
    assert len(asked) > 40
    assert asked <= known


def test_nothing_is_fetched_from_elsewhere():
    ours = [*STATIC.glob("*.css"), *STATIC.glob("*.js"), *(settings.BASE_DIR / "templates").rglob("*.html")]
    for path in ours:
        assert not re.search(r"""(?:url\(|src=|href=|import )["']?(?:https?:)?//""", path.read_text()), path
