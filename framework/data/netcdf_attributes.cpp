#include "data/netcdf_attributes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace backplane {

namespace {

constexpr hssize_t kMostNumbers = 64;

/// The numbers of an attribute; none where it does not exist. One of another kind is refused: what it says of the
/// values would be passed over.
std::vector<double> numbers_of(const h5::Handle& dataset, const char* name, hssize_t most, const std::string& path,
                               const Origin& origin) {
  if (H5Aexists(dataset.id(), name) <= 0) return {};
  const h5::Handle attribute(H5Aopen(dataset.id(), name, H5P_DEFAULT), H5Aclose, "open an attribute");
  const h5::Handle type(H5Aget_type(attribute.id()), H5Tclose, "read the type of an attribute");
  const h5::Handle space(H5Aget_space(attribute.id()), H5Sclose, "read the shape of an attribute");
  const H5T_class_t kind = H5Tget_class(type.id());
  const hssize_t count = H5Sget_simple_extent_npoints(space.id());
  if ((kind != H5T_INTEGER && kind != H5T_FLOAT) || count < 1 || count > most)
    origin.fail(fmt::format("'{}': its attribute {} is not {}", path, name,
                            most == 1 ? "a single number" : "a list of numbers"),
                "store the values as they are meant, without this attribute");
  std::vector<double> numbers(static_cast<std::size_t>(count));
  h5::check(H5Aread(attribute.id(), H5T_NATIVE_DOUBLE, numbers.data()), "read an attribute");
  return numbers;
}

double number_of(const h5::Handle& dataset, const char* name, double otherwise, const std::string& path,
                 const Origin& origin) {
  const std::vector<double> numbers = numbers_of(dataset, name, 1, path, origin);
  return numbers.empty() ? otherwise : numbers[0];
}

/// Whether a text attribute of one word says so; one that is no such text does.
bool is_true(const h5::Handle& dataset, const char* name) {
  if (H5Aexists(dataset.id(), name) <= 0) return false;
  const h5::Handle attribute(H5Aopen(dataset.id(), name, H5P_DEFAULT), H5Aclose, "open an attribute");
  const h5::Handle type(H5Aget_type(attribute.id()), H5Tclose, "read the type of an attribute");
  const h5::Handle space(H5Aget_space(attribute.id()), H5Sclose, "read the shape of an attribute");
  if (H5Tget_class(type.id()) != H5T_STRING || H5Sget_simple_extent_npoints(space.id()) != 1) return true;
  std::string text;
  if (H5Tis_variable_str(type.id()) > 0) {
    char* words = nullptr;
    h5::check(H5Aread(attribute.id(), type.id(), &words), "read an attribute");
    if (words != nullptr) text = words;
    H5free_memory(words);
  } else {
    text.resize(H5Tget_size(type.id()) + 1);
    h5::check(H5Aread(attribute.id(), type.id(), text.data()), "read an attribute");
    text.resize(std::strlen(text.c_str()));
  }
  return text != "false";
}

void refuse_missing(const Table& table, const char* attribute, const std::vector<double>& marks,
                    const std::string& path, const Origin& origin) {
  const auto is_mark = [&](auto value) { return std::ranges::find(marks, static_cast<double>(value)) != marks.end(); };
  std::visit(
      [&](const auto& values) {
        const auto found = std::ranges::find_if(values, is_mark);
        if (found == values.end()) return;
        const std::int64_t index = found - values.begin();
        const std::int64_t width = static_cast<std::int64_t>(values.size()) / table.dims[0];
        origin.fail(
            fmt::format("'{}': sample {}, element {} is a missing value (its attribute {}; both counted from 0)", path,
                        index / width, index % width, attribute),
            "fill the gap, leave out the sample, or remove the attribute if this value is meant");
      },
      table.values);
}

}  // namespace

void apply_netcdf_attributes(const h5::Handle& file, const std::string& path, const Origin& origin, Table& table) {
  const h5::Handle dataset(H5Dopen2(file.id(), path.c_str(), H5P_DEFAULT), H5Dclose, "open a data set");
  const h5::Handle type(H5Dget_type(dataset.id()), H5Tclose, "read an element type");
  const bool holds_floats = H5Tget_class(type.id()) == H5T_FLOAT && H5Tget_size(type.id()) == sizeof(float);
  for (const char* attribute : {"_FillValue", "missing_value"}) {
    std::vector<double> marks = numbers_of(dataset, attribute, kMostNumbers, path, origin);
    if (holds_floats)  // a mark that is written with more digits stands among the values with fewer
      std::ranges::transform(marks, marks.begin(), [](double mark) { return static_cast<float>(mark); });
    if (!marks.empty()) refuse_missing(table, attribute, marks, path, origin);
  }
  if (is_true(dataset, "_Unsigned") && H5Tget_class(type.id()) == H5T_INTEGER && H5Tget_sign(type.id()) == H5T_SGN_2)
    origin.fail(fmt::format("'{}' holds signed numbers that its attribute _Unsigned declares unsigned", path),
                "store them in an unsigned type");
  const double a = number_of(dataset, "scale_factor", 1, path, origin),
               b = number_of(dataset, "add_offset", 0, path, origin);
  if (a == 0 || !std::isfinite(a) || !std::isfinite(b))
    origin.fail(
        fmt::format("'{}': its attributes scale_factor {} and add_offset {} leave nothing of its values", path, a, b),
        "store the values as they are meant, without these attributes");
  if (a == 1 && b == 0) return;
  if (std::holds_alternative<std::vector<std::int64_t>>(table.values))
    origin.fail(
        fmt::format("'{}' holds whole numbers, but its attributes scale_factor and add_offset say that they are "
                    "packed",
                    path),
        "store them unpacked, without these attributes");
  table.values = std::visit(
      [&](const auto& stored) {
        std::vector<double> unpacked(stored.size());
        std::ranges::transform(stored, unpacked.begin(), [&](auto x) { return static_cast<double>(x) * a + b; });
        return unpacked;
      },
      table.values);
}

}  // namespace backplane
