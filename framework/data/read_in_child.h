#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "data/table.h"

namespace backplane {

/// Runs `read` in a forked child and returns the tables that it made there, so that a crash of the library that
/// parses `file` is an error of the file. An exception in the child is thrown again here: UserError with its code and
/// first diagnostic, any other as bad_data. The child may take kMostBytes + 2 GiB of memory more than this process
/// has (unbounded under AddressSanitizer and ThreadSanitizer) and is killed where it sends nothing for `patience`.
///
/// The child runs code of the library after fork, so no other thread may run. The tables' origin is Origin::file(file).
std::vector<Table> read_in_child(const std::string& file, const std::function<std::vector<Table>()>& read,
                                 std::chrono::seconds patience = std::chrono::seconds(60));

}  // namespace backplane
