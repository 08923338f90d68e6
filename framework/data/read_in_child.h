#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "data/table.h"
#include "sandbox/run_in_child.h"

namespace backplane {

/// In the child: makes tables of what the request names.
using TableReading = std::vector<Table> (*)(ByteReader& request);

void answer_with_tables(TableReading reading, ByteReader& request, ByteWriter& answer);

template <TableReading reading>
void answer_with_tables_of(ByteReader& request, ByteWriter& answer) {
  answer_with_tables(reading, request, answer);
}

/// A job for read_in_child, to stand in the program's table.
template <TableReading reading>
constexpr ChildJob table_job(const char* name) {
  return reading_job<answer_with_tables_of<reading>>(name);
}

/// Has a child do a job, of which `ask` writes the request, and returns the tables that it made, so that a crash of the
/// library that parses `file` is an error of the file (sandbox/run_in_child.h). Errors name the file where they do not
/// by themselves. The child may take kMostBytes + 2 GiB of memory (unbounded under AddressSanitizer and
/// ThreadSanitizer) and is killed where it sends nothing for `patience`. The tables' origin is Origin::file(file).
std::vector<Table> read_in_child(const std::string& file, const ChildJob& job,
                                 const std::function<void(ByteWriter& request)>& ask,
                                 std::chrono::seconds patience = std::chrono::seconds(60));

}  // namespace backplane
