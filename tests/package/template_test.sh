#!/bin/sh
# A stranger's layer, from an installed Backplane alone: build, list, check gradients, train on two thread counts. It is
# linked to a library in a folder of its own, as a stranger's may be.
set -eu
cmake=$1 build=$2 source=$3 compiler=$4 python=$5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$cmake" --install "$build" --prefix "$work/prefix" > "$work/log"
cp -r "$source/plugins/template" "$work/stretch"  # outside the tree: nothing of it can be reached by accident
mkdir "$work/beside"
echo 'extern "C" int beside() { return 1; }' > "$work/beside/beside.cpp"
"$compiler" -shared -fPIC -Wl,-soname,libbeside.so.1,-z,relro,-z,now "$work/beside/beside.cpp" -o "$work/beside/libbeside.so"
ln -s libbeside.so "$work/beside/libbeside.so.1"
sed -i "s|SOURCES stretch.cpp|SOURCES stretch.cpp beside.cpp DEPENDS $work/beside/libbeside.so|" "$work/stretch/CMakeLists.txt"
echo 'extern "C" int beside(); int stretch_needs() { return beside(); }' > "$work/stretch/beside.cpp"
"$cmake" -S "$work/stretch" -B "$work/stretch/build" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_CXX_COMPILER="$compiler" \
  -DCMAKE_EXPORT_COMPILE_COMMANDS=ON >> "$work/log"
# Optimised without being asked, and with the bits of any other cut of the batch.
grep -q -- '-O3 .*stretch.cpp' "$work/stretch/build/compile_commands.json"
grep -q -- '-ffp-contract=off .*stretch.cpp' "$work/stretch/build/compile_commands.json"
"$cmake" --build "$work/stretch/build" >> "$work/log"
"$python" "$source/tests/structure/elf_test.py" --not-below "$build" "$work"

cd "$work"
backplane="$work/prefix/bin/backplane"
plugin="$work/stretch/build/plugins/stretch.bp.so"
"$backplane" plugin inspect "$plugin" | grep -q 'initial .* float'
"$backplane" plugin list | grep -q 'dense'  # the installed plug-ins are found without any setting
"$backplane" check stretch/experiment.yaml --plugin "$plugin"
for threads in 1 3; do
  "$backplane" run stretch/experiment.yaml --plugin "$plugin" --threads $threads --out "$work/run$threads" > "$work/summary$threads"
  grep '^weights' "$work/summary$threads"
done
[ "$(grep '^weights' summary1)" = "$(grep '^weights' summary3)" ]
grep -q 'accuracy' summary1
