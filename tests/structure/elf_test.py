"""What the dynamic loader is told by every ELF file below the given folders.

    elf_test.py [--not-below FOLDER]... [--hardened FILE]... FOLDER...

- Libraries are looked for in absolute folders, or beside the file ($ORIGIN): an empty or relative element of a run path
  is the current directory, where anybody may have laid a library. None lies below a folder of --not-below.
- Libraries are needed by name, not by path.
- No stack is executable, and no code is written to when it is loaded.
- Symbols are bound when it is loaded, and the tables of their addresses are read-only after that.
- Programs of --hardened check return addresses, buffers of known size and the indices of standard containers.
"""
import argparse
import os
import pathlib
import struct
import sys

PT_LOAD, PT_DYNAMIC, PT_GNU_STACK, PT_GNU_RELRO = 1, 2, 0x6474E551, 0x6474E552
DT_NEEDED, DT_STRTAB, DT_RPATH, DT_TEXTREL, DT_RUNPATH, DT_FLAGS, DT_FLAGS_1 = 1, 5, 15, 22, 29, 30, 0x6FFFFFFB
DF_TEXTREL, DF_BIND_NOW, DF_1_NOW, PF_X = 4, 8, 1, 1
ET_EXEC, ET_DYN = 2, 3
CHECKS = {b"__stack_chk_fail": "return addresses (-fstack-protector-strong)",
          b"_chk\0": "buffers of known size (-D_FORTIFY_SOURCE=3)",
          b"__glibcxx_assert_fail": "indices of standard containers (-D_GLIBCXX_ASSERTIONS)"}


def elf_files(folder):
    """Programs and shared libraries that are built, but for those with which CMake tries the compiler. Object files have no
    say in how they are loaded."""
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if path.is_symlink() or not path.is_file() or "CMakeFiles" in path.parts:
            continue
        with path.open("rb") as file:
            head = file.read(20)
        if head[:6] == b"\x7fELF\x02\x01" and struct.unpack_from("<H", head, 16)[0] in (ET_EXEC, ET_DYN):
            yield path


def segments(image):
    offset, = struct.unpack_from("<Q", image, 32)
    size, count = struct.unpack_from("<HH", image, 54)
    for i in range(count):
        kind, flags, start, address, _, length = struct.unpack_from("<IIQQQQ", image, offset + i * size)
        yield kind, flags, start, address, length


def dynamic_entries(image):
    for kind, _, start, _, length in segments(image):
        if kind == PT_DYNAMIC:
            for tag, value in struct.iter_unpack("<QQ", image[start:start + length]):
                if tag == 0:
                    return
                yield tag, value


def findings(path, forbidden):
    image = path.read_bytes()
    entries = list(dynamic_entries(image))
    strings = next((value for tag, value in entries if tag == DT_STRTAB), 0)
    for kind, _, start, address, length in segments(image):
        if kind == PT_LOAD and address <= strings < address + length:
            strings += start - address
            break

    def text(offset):
        begin = strings + offset
        return image[begin:image.index(b"\0", begin)].decode()

    for tag, value in entries:
        if tag in (DT_RPATH, DT_RUNPATH):
            for element in text(value).split(":"):
                if not element.startswith(("/", "$ORIGIN")):
                    yield f"looks for libraries in '{element}' of its run path '{text(value)}'"
                if any(os.path.normpath(element).startswith(folder) for folder in forbidden):
                    yield f"looks for libraries in '{element}', which others may fill once the build is gone"
        if tag == DT_NEEDED and "/" in text(value):
            yield f"needs '{text(value)}' by its path"
        if tag == DT_TEXTREL or (tag == DT_FLAGS and value & DF_TEXTREL):
            yield "has its code changed when it is loaded (TEXTREL)"
    stacks = [flags for kind, flags, *_ in segments(image) if kind == PT_GNU_STACK]
    if entries and (not stacks or any(flags & PF_X for flags in stacks)):
        yield "has an executable stack"
    is_bound = any(tag == DT_FLAGS and value & DF_BIND_NOW or tag == DT_FLAGS_1 and value & DF_1_NOW
                   for tag, value in entries)
    has_relro = any(kind == PT_GNU_RELRO for kind, *_ in segments(image))
    if entries and not (is_bound and has_relro):
        yield "leaves the table of its functions writable (link with -z relro -z now)"


def missing_checks(path):
    """Of a program that is to check itself: the functions that it would call are none of its symbols."""
    image = pathlib.Path(path).read_bytes()
    return [f"{path}: does not check {what}" for function, what in CHECKS.items() if function not in image]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--not-below", action="append", default=[])
    parser.add_argument("--hardened", action="append", default=[])
    parser.add_argument("folders", nargs="+")
    options = parser.parse_args()
    forbidden = [os.path.realpath(folder) for folder in options.not_below]
    files = [path for folder in options.folders for path in elf_files(folder)]
    found = [f"{path}: {finding}" for path in files for finding in findings(path, forbidden)]
    found += [finding for path in options.hardened for finding in missing_checks(path)]
    print("\n".join(found) or f"{len(files)} programs and libraries")
    return bool(found) or not files


if __name__ == "__main__":
    sys.exit(main())
