"""The arrows between the folders of framework/: a folder includes only what its CMakeLists.txt names in DEPENDS."""
import pathlib
import re
import sys

framework = pathlib.Path(sys.argv[1]) / "framework"
folders = {path.parent.name for path in framework.glob("*/CMakeLists.txt")}
findings = []
for name in sorted(folders):
    folder = framework / name
    declared = set(re.findall(r"backplane::(\w+)", (folder / "CMakeLists.txt").read_text())) | {name}
    if "backplane::sdk" in (folder / "CMakeLists.txt").read_text():
        declared.add("sdk")
    for file in sorted(folder.rglob("*")):
        if file.suffix not in {".h", ".cpp", ".hpp"}:
            continue
        for line, text in enumerate(file.read_text().splitlines(), 1):
            found = re.match(r'#include "(\w+)/', text)
            if found and found[1] in folders and found[1] not in declared:
                findings.append(f"{file.relative_to(framework)}:{line}: includes {found[1]}/, which {name} does not "
                                f"name in DEPENDS")
print("\n".join(findings) or f"{len(folders)} folders include what they name")
sys.exit(bool(findings))
