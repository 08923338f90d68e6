#include "data/read_in_child.h"

namespace backplane {

namespace {

// What the child sends: a count of tables; per table the type, the extents, the elements, and what was never written.
constexpr std::size_t kMostAxes = 32;
constexpr std::int64_t kMostTables = 8;

void send(const Table& table, ByteWriter& answer) {
  answer.number(static_cast<std::int64_t>(table.values.index()));
  answer.number(static_cast<std::int64_t>(table.dims.size()));
  for (const std::int64_t extent : table.dims) answer.number(extent);
  std::visit([&](const auto& values) { answer.bytes(values.data(), values.size() * sizeof(values[0])); }, table.values);
  answer.number(table.unwritten.chunks);
  answer.number(table.unwritten.of);
  answer.number(table.unwritten.value);
}

template <class T>
std::vector<T> elements(const Table& table, ByteReader& answer) {
  std::vector<T> values(static_cast<std::size_t>(table_bytes(table.origin, table.dims, sizeof(T))) / sizeof(T));
  answer.bytes(values.data(), values.size() * sizeof(T));
  return values;
}

Table receive_table(const Origin& origin, ByteReader& answer) {
  Table table{{}, {}, origin};
  const auto type = answer.number<std::int64_t>();
  const auto axes = static_cast<std::size_t>(answer.number<std::int64_t>());
  BP_ASSERT(axes <= kMostAxes);
  for (std::size_t axis = 0; axis < axes; ++axis) table.dims.push_back(answer.number<std::int64_t>());
  switch (type) {
    case 0: table.values = elements<std::uint8_t>(table, answer); break;
    case 1: table.values = elements<float>(table, answer); break;
    case 2: table.values = elements<double>(table, answer); break;
    default: table.values = elements<std::int64_t>(table, answer);
  }
  table.unwritten.chunks = answer.number<std::int64_t>();
  table.unwritten.of = answer.number<std::int64_t>();
  table.unwritten.value = answer.number<double>();
  return table;
}

/// What a reading makes; its errors say which file where they do not by themselves.
std::vector<Table> read_with_place(const std::string& file, TableReading reading, ByteReader& request) try {
  return reading(request);
} catch (const UserError& error) {
  Diagnostic first = error.diagnostics().front();
  if (first.place.source.empty()) first.place.source = file;
  throw UserError(error.code(), std::move(first));
}

}  // namespace

void answer_with_tables(TableReading reading, ByteReader& request, ByteWriter& answer) {
  const std::string file = request.text();
  const std::vector<Table> tables = read_with_place(file, reading, request);
  answer.number(std::ssize(tables));
  for (const Table& table : tables) send(table, answer);
}

std::vector<Table> read_in_child(const std::string& file, const ChildJob& job,
                                 const std::function<void(ByteWriter&)>& ask, std::chrono::seconds patience) {
  const ChildLimits limits{.memory = kMostBytes + (std::int64_t{2} << 30),
                           .most_sent = kMostTables * kMostBytes + (1 << 20),
                           .patience = patience};
  std::vector<Table> tables;
  run_in_child(
      file, limits, job,
      [&](ByteWriter& request) {
        request.text(file);
        ask(request);
      },
      [&](ByteReader& answer) {
        const auto count = answer.number<std::ptrdiff_t>();
        BP_ASSERT(count >= 0 && count <= kMostTables);
        for (std::ptrdiff_t i = 0; i < count; ++i) tables.push_back(receive_table(Origin::file(file), answer));
      });
  return tables;
}

}  // namespace backplane
