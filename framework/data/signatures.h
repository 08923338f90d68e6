#pragma once

#include <string>

#include "data/table.h"

namespace backplane {

// Files that are given as something else, known by their first bytes.

/// What the file at `path` seems to be, "a gzip file", and what to do with it; both empty where nothing is known of it.
/// Nothing of what it holds is repeated. Throws nothing where it cannot be read.
struct Signature {
  std::string what;
  std::string remedy;
};
Signature recognise(const std::string& path);

/// Throws by the file's origin (bad_data) where `path` is recognised as something else than `noun`, which is
/// what was wanted: "a CSV file".
void refuse_foreign(const std::string& path, const std::string& noun);

/// "this seems to be a PNG image: …", or "": a hint for a reader that found something wrong.
std::string hint_of_signature(const std::string& path);

}  // namespace backplane
