#include "exchange/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

#include "exchange/damage.h"

namespace backplane {

namespace {

using nlohmann::json;

constexpr std::size_t kPrefix = 8;
constexpr std::uint64_t kMostHeader = 100'000'000;
constexpr const char* kMetadata = "__metadata__";

/// What the format calls an element, and its bytes; 0 for a type that it does not know.
std::pair<Element, std::size_t> element_named(const std::string& dtype) {
  if (dtype == "F16") return {Element::float16, 2};
  if (dtype == "BF16") return {Element::bfloat16, 2};
  if (dtype == "F32") return {Element::float32, 4};
  if (dtype == "F64") return {Element::float64, 8};
  if (dtype == "I64" || dtype == "U64") return {Element::other, 8};
  if (dtype == "I32" || dtype == "U32") return {Element::other, 4};
  if (dtype == "I16" || dtype == "U16") return {Element::other, 2};
  if (dtype == "I8" || dtype == "U8" || dtype == "BOOL" || dtype.starts_with("F8_")) return {Element::other, 1};
  return {Element::other, 0};
}

/// A header is a map of maps of lists. Anything deeper, and a name that stands twice, ends the parsing at once.
json parse_header(const char* text, std::size_t length) {
  std::set<std::string> names;
  const auto look = [&](int depth, json::parse_event_t event, json& parsed) {
    require_undamaged(depth <= 3, "its header is nested deeper than a header is");
    if (depth == 1 && event == json::parse_event_t::key)
      require_undamaged(names.insert(parsed.get<std::string>()).second,
                        fmt::format("its header names '{}' twice", parsed.get<std::string>()));
    return true;
  };
  try {
    return json::parse(text, text + length, look);
  } catch (const json::parse_error& error) {
    throw std::runtime_error(fmt::format("its header is no JSON: byte {} of it makes no sense", error.byte));
  }
}

std::uint64_t whole_number(const json& value, const std::string& name) {
  require_undamaged(value.is_number_unsigned(),
                    fmt::format("'{}' has a shape or offset that is no whole number", name));
  return value.get<std::uint64_t>();
}

/// An entry with the range of bytes that it claims.
struct Claim {
  WeightEntry entry;
  std::uint64_t begin = 0, end = 0;
};

Claim read_claim(const std::string& name, const json& described) {
  require_undamaged(described.is_object() && described.contains("dtype") && described["dtype"].is_string() &&
                        described.contains("shape") && described["shape"].is_array() &&
                        described.contains("data_offsets") && described["data_offsets"].is_array() &&
                        described["data_offsets"].size() == 2,
                    fmt::format("'{}' lacks dtype, shape or data_offsets", name));
  Claim claim;
  claim.entry.name = name;
  claim.entry.stored_type = described["dtype"].get<std::string>();
  for (const json& extent : described["shape"]) {
    const std::uint64_t value = whole_number(extent, name);
    require_undamaged(value <= std::uint64_t{1} << 48, fmt::format("'{}' has an axis of {} elements", name, value));
    claim.entry.shape.push_back(static_cast<std::int64_t>(value));
  }
  claim.begin = whole_number(described["data_offsets"][0], name);
  claim.end = whole_number(described["data_offsets"][1], name);
  require_undamaged(claim.begin <= claim.end, fmt::format("'{}' ends before it begins", name));
  const auto [element, bytes] = element_named(claim.entry.stored_type);
  require_undamaged(bytes > 0, fmt::format("'{}' has the unknown type '{}'", name, claim.entry.stored_type));
  claim.entry.element = element;
  const std::uint64_t wanted = checked_count(claim.entry.shape, bytes) * bytes;
  require_undamaged(
      claim.end - claim.begin == wanted,
      fmt::format("'{}' of shape {} and type {} takes {} bytes, its offsets give it {}", name,
                  to_string(claim.entry.shape), claim.entry.stored_type, wanted, claim.end - claim.begin));
  return claim;
}

}  // namespace

std::string build_safetensors(const std::vector<TensorView>& tensors,
                              const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header;
  header[kMetadata] = metadata;
  std::size_t end = 0;
  for (const TensorView& tensor : tensors) {
    const std::size_t begin = end;
    end += static_cast<std::size_t>(element_count(tensor.shape)) * size_of(tensor.dtype);
    header[tensor.name] = {{"dtype", tensor.dtype == DType::float32 ? "F32" : "F64"},
                           {"shape", tensor.shape},
                           {"data_offsets", {begin, end}}};
  }
  std::string text = header.dump();
  text.append((kPrefix - text.size() % kPrefix) % kPrefix, ' ');
  const std::uint64_t length = text.size();
  std::string file(kPrefix, '\0');
  std::memcpy(file.data(), &length, kPrefix);
  file.reserve(kPrefix + text.size() + end);
  file += text;
  for (const TensorView& tensor : tensors)
    file.append(static_cast<const char*>(tensor.data),
                static_cast<std::size_t>(element_count(tensor.shape)) * size_of(tensor.dtype));
  return file;
}

std::vector<WeightEntry> parse_safetensors(const std::shared_ptr<const std::string>& bytes) {
  require_undamaged(bytes->size() >= kPrefix, "it is shorter than the length of a header");
  std::uint64_t length = 0;
  std::memcpy(&length, bytes->data(), kPrefix);
  require_undamaged(length <= kMostHeader,
                    fmt::format("its header would have {} bytes, at most {} are allowed", length, kMostHeader));
  require_undamaged(length <= bytes->size() - kPrefix,
                    fmt::format("its header would have {} bytes, the file has {}", length, bytes->size()));
  const json header = parse_header(bytes->data() + kPrefix, length);
  require_undamaged(header.is_object(), "its header is no map");
  std::vector<Claim> claims;
  for (const auto& [name, described] : header.items())
    if (name != kMetadata) claims.push_back(read_claim(name, described));
  std::sort(claims.begin(), claims.end(),
            [](const Claim& a, const Claim& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  const std::size_t data = kPrefix + length;
  std::uint64_t end = 0;
  std::vector<WeightEntry> entries;
  for (Claim& claim : claims) {
    require_undamaged(claim.begin == end, fmt::format("the data of '{}' begins at {}, what stands before it ends at {}",
                                                      claim.entry.name, claim.begin, end));
    end = claim.end;
    if (claim.entry.element != Element::other)
      claim.entry.load = [bytes, begin = data + claim.begin, size = claim.end - claim.begin] {
        return std::vector<char>(bytes->data() + begin, bytes->data() + begin + size);
      };
    entries.push_back(std::move(claim.entry));
  }
  require_undamaged(end == bytes->size() - data,
                    fmt::format("its tensors take {} bytes, the data has {}", end, bytes->size() - data));
  return entries;
}

}  // namespace backplane
