#include "data/read_in_child.h"

#include "sandbox/run_in_child.h"

namespace backplane {

namespace {

// What the child sends: a count of tables; per table the type, the extents, the elements, and what was never written.
constexpr std::size_t kMostAxes = 32;
constexpr std::int64_t kMostTables = 8;

void send(const Table& table, ChildOutput& output) {
  output.number(static_cast<std::int64_t>(table.values.index()));
  output.number(static_cast<std::int64_t>(table.dims.size()));
  for (const std::int64_t extent : table.dims) output.number(extent);
  std::visit([&](const auto& values) { output.bytes(values.data(), values.size() * sizeof(values[0])); }, table.values);
  output.number(table.unwritten.chunks);
  output.number(table.unwritten.of);
  output.number(table.unwritten.value);
}

template <class T>
std::vector<T> elements(const Table& table, ChildInput& input) {
  std::vector<T> values(static_cast<std::size_t>(table_bytes(table.origin, table.dims, sizeof(T))) / sizeof(T));
  input.bytes(values.data(), values.size() * sizeof(T));
  return values;
}

Table receive_table(const Origin& origin, ChildInput& input) {
  Table table{{}, {}, origin};
  const auto type = input.number<std::int64_t>();
  const auto axes = static_cast<std::size_t>(input.number<std::int64_t>());
  BP_ASSERT(axes <= kMostAxes);
  for (std::size_t axis = 0; axis < axes; ++axis) table.dims.push_back(input.number<std::int64_t>());
  switch (type) {
    case 0: table.values = elements<std::uint8_t>(table, input); break;
    case 1: table.values = elements<float>(table, input); break;
    case 2: table.values = elements<double>(table, input); break;
    default: table.values = elements<std::int64_t>(table, input);
  }
  table.unwritten.chunks = input.number<std::int64_t>();
  table.unwritten.of = input.number<std::int64_t>();
  table.unwritten.value = input.number<double>();
  return table;
}

/// What `read` makes; its errors say which file where they do not by themselves.
std::vector<Table> read_with_place(const std::string& file, const std::function<std::vector<Table>()>& read) try {
  return read();
} catch (const UserError& error) {
  Diagnostic first = error.diagnostics().front();
  if (first.place.source.empty()) first.place.source = file;
  throw UserError(error.code(), std::move(first));
}

}  // namespace

std::vector<Table> read_in_child(const std::string& file, const std::function<std::vector<Table>()>& read,
                                 std::chrono::seconds patience) {
  const ChildLimits limits{.memory = kMostBytes + (std::int64_t{2} << 30),
                           .most_sent = kMostTables * kMostBytes + (1 << 20),
                           .patience = patience};
  std::vector<Table> tables;
  run_in_child(
      file, limits,
      [&](ChildOutput& output) {
        const std::vector<Table> made = read_with_place(file, read);
        output.number(static_cast<std::int64_t>(made.size()));
        for (const Table& table : made) send(table, output);
      },
      [&](ChildInput& input) {
        const auto count = input.number<std::int64_t>();
        BP_ASSERT(count >= 0 && count <= kMostTables);
        for (std::int64_t i = 0; i < count; ++i) tables.push_back(receive_table(Origin::file(file), input));
      });
  return tables;
}

}  // namespace backplane
