"""The arrows between the folders of framework/: a folder includes only what its CMakeLists.txt names in DEPENDS, and names
only folders that come before it in framework/CMakeLists.txt, so that includes go one way; README.md tours them in that
order."""
import pathlib
import re
import sys

framework = pathlib.Path(sys.argv[1]) / "framework"
order = re.findall(r"add_subdirectory\((\w+)\)", (framework / "CMakeLists.txt").read_text())
toured = re.findall(r"^\*\*(\w+)\*\* ", (framework / "README.md").read_text(), re.MULTILINE)
findings = []
if toured != order:
    findings.append(f"README.md tours {' '.join(toured)}, CMakeLists.txt has {' '.join(order)}")
for missing in {path.parent.name for path in framework.glob("*/CMakeLists.txt")} - set(order):
    findings.append(f"{missing} is not in framework/CMakeLists.txt")
for place, name in enumerate(order):
    folder = framework / name
    declared = set(re.findall(r"backplane::(\w+)", (folder / "CMakeLists.txt").read_text())) - {name}
    for later in sorted(declared.intersection(order[place:])):
        findings.append(f"{name} names {later} in DEPENDS, which does not come before it")
    for file in sorted(folder.rglob("*")):
        if file.suffix not in {".h", ".cpp", ".hpp"}:
            continue
        for line, text in enumerate(file.read_text().splitlines(), 1):
            found = re.match(r'#include "(\w+)/', text)
            if found and found[1] in order and found[1] not in declared | {name}:
                findings.append(f"{file.relative_to(framework)}:{line}: includes {found[1]}/, which {name} does not "
                                f"name in DEPENDS")
print("\n".join(findings) or f"{len(order)} folders include what they name, in one direction")
sys.exit(bool(findings))
