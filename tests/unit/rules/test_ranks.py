"""Which children count as older siblings."""

from tests.unit.rules.world import verdicts


def test_only_what_is_known_excludes_a_child_from_the_rank():
    third = {"rank": "child", "unless": {"fact": "child.supported_by_guardian", "is": True}, "at_least": 3}

    def youngest(*answered):
        children = [
            {"id": f"c{year}", "birth_date": f"{year}-01-01", "facts": {} if known is None else {"supported_by_guardian": known}}
            for year, known in zip(range(2010, 2020), answered, strict=False)
        ]
        return verdicts(third, {"children": children}, subject="child")[-1]

    assert youngest(None, False, None) == "eligible"
    assert youngest(None, True, None) == "ineligible"
    assert youngest(True, None, False, True) == "eligible"  # its own answer does not move its own place
