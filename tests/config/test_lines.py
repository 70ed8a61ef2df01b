"""Where a setting stands in its file."""

from __future__ import annotations

import pytest

from daemon.config import located
from daemon.config.lines import line_of

TEXT = '''\
name = "x"                # 1
[status]                  # 2
state = [                 # 3
  "a.b",
  ["c"],
]
body = """
[fake]
key = 1
"""
[[status.rules]]          # 11
when = "a"
[[status.rules]]          # 13
when = 'it''s'
"quoted key".inner = 3    # 15
[status.rules.deep]       # 16
here = {x = 1}
[[examples]]              # 18
body = \'\'\'
[[examples]]
when = 2
\'\'\'
[[examples]]              # 23
state = "x"
[status.one]              # 25
path = 1
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("name",), 1),
        (("status",), 2),
        (("status", "state", "1"), 3),
        (("status", "rules", "0", "when"), 12),
        (("status", "rules", "1", "when"), 14),
        (("status", "rules", "1", "quoted key", "inner"), 15),
        (("status", "rules", "1", "deep", "here", "x"), 17),
        (("examples", "1", "state"), 24),
        (("examples", "1", "absent"), 23),
        (("status", "one", "0", "path"), 26),
        (("fake", "key"), None),
        (("absent",), None),
    ],
)
def test_a_path_is_found_on_its_line(path, line):
    assert line_of(TEXT, path) == line


def test_a_fault_is_located_in_its_own_file_or_in_the_lane_s_table(tmp_path):
    config, own = tmp_path / "c.toml", tmp_path / "mine.toml"
    config.write_text('[log]\nlevel = "info"\n[providers."eu-1"]\nrate = 0\n')
    own.write_text("name = 'x'\n[status]\nfoo = 1\n")
    faults = [
        (f"{own}: has an unknown key", ("status", "foo")),
        ("[providers.eu-1] limits.rate: too small", ("limits", "rate")),
        ("[providers.us] names no definition", ()),
        ("and 3 more", ()),
    ]

    assert located(faults, config) == [
        f"{own}:3: has an unknown key",
        f"{config}:4: [providers.eu-1] limits.rate: too small",
        "[providers.us] names no definition",
        "and 3 more",
    ]
    assert located(faults[1:2], None) == [faults[1][0]]
    assert located(faults[1:2], None, {"POLLHOOK_CONFIG": str(config)})[0].startswith(f"{config}:4: ")
