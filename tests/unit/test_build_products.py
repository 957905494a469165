"""The products are what the tool makes of the series, to the byte."""

import importlib.util
from types import ModuleType

from tests.support.store_packs import PACK

TOOL = PACK.parents[1] / "tools" / "build_products.py"


def load_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_products", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_shipped_products_are_rebuilt_byte_for_byte() -> None:
    built: str = load_tool().build(PACK)
    stale = "products.jsonl is stale: run `python tools/build_products.py`"
    assert built.encode() == (PACK / "products.jsonl").read_bytes(), stale
