from domicile.service.texts import Texts


def test_gives_the_document_of_the_revision_it_keeps() -> None:
    texts = Texts()
    texts.put("a", 1, "<domain>é\udc80</domain>")
    assert texts.get("a", 1) == "<domain>é\udc80</domain>"
    assert texts.get("a", 2) is None
    texts.put("a", 2, "<domain/>")
    assert texts.get("a", 1) is None
    assert texts.get("a", 2) == "<domain/>"
    texts.drop("a")
    assert texts.get("a", 2) is None


def test_lets_go_of_what_was_used_least_recently() -> None:
    texts = Texts(most=900)
    for name in ("a", "b", "c"):
        texts.put(name, 1, f"<domain>{name}</domain>")
    assert texts.get("a", 1) is not None
    texts.put("d", 1, "<domain/>")
    assert texts.get("b", 1) is None
    assert [texts.get(name, 1) is not None for name in ("a", "c", "d")] == [True, True, True]


def test_keeps_one_document_however_large() -> None:
    texts = Texts(most=10)
    texts.put("a", 1, "x" * 10_000)
    assert texts.get("a", 1) is not None
