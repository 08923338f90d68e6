#include "data/netcdf_attributes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <vector>

#include "data/hdf5_links.h"
#include "data/hdf5_numbers.h"

namespace backplane {

namespace {

constexpr hssize_t kMostNumbers = 64;

/// The numbers of an attribute; none where it does not exist. One of another kind is refused: what it says of the
/// values would be passed over.
std::vector<long double> numbers_of(const h5::Handle& dataset, const char* name, hssize_t most, const std::string& path,
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
  std::vector<long double> numbers(static_cast<std::size_t>(count));
  h5::check(H5Aread(attribute.id(), H5T_NATIVE_LDOUBLE, numbers.data()), "read an attribute");
  return numbers;
}

double number_of(const h5::Handle& dataset, const char* name, double otherwise, const std::string& path,
                 const Origin& origin) {
  const std::vector<long double> numbers = numbers_of(dataset, name, 1, path, origin);
  return numbers.empty() ? otherwise : static_cast<double>(numbers[0]);
}

/// Programs disagree on what a type is whose sign the attribute _Unsigned denies: xarray turns it round, netCDF4 leaves
/// it.
void refuse_other_sign(const h5::Handle& dataset, const std::string& path, const Origin& origin) {
  const h5::Handle type(H5Dget_type(dataset.id()), H5Tclose, "read an element type");
  std::optional<std::string> word = text_attribute(dataset, "_Unsigned");
  if (!word || H5Tget_class(type.id()) != H5T_INTEGER) return;
  std::ranges::transform(*word, word->begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const bool is_signed = H5Tget_sign(type.id()) == H5T_SGN_2;
  if (is_signed == (*word == "false")) return;
  if (!is_signed && *word == "true") return;
  origin.fail(fmt::format("'{}' holds {} numbers that its attribute _Unsigned declares {}", path,
                          is_signed ? "signed" : "unsigned", is_signed ? "unsigned" : "signed"),
              fmt::format("store them in {} type, or remove the attribute", is_signed ? "an unsigned" : "a signed"));
}

/// One way in which a number says that it is none. A long double holds every whole number of 64 bits.
struct Mark {
  std::string by;  ///< "its attribute _FillValue"
  std::string hint;
  std::function<bool(long double)> is_missing;
};

constexpr const char* kNotMeant = "fill the gap, leave out the sample, or remove the attribute if this value is meant";

/// The values of a table that are not those of the file: of whole numbers of 64 bits, those that a double rounds. Empty
/// where there are none.
std::vector<long double> rounded_values(const h5::Handle& dataset, const Table& table) {
  const h5::Handle type(H5Dget_type(dataset.id()), H5Tclose, "read an element type");
  if (H5Tget_class(type.id()) != H5T_INTEGER || H5Tget_size(type.id()) < 8) return {};
  constexpr double kExactIntegers = 9007199254740992.0;  // 2^53
  const bool has_large = std::visit(
      [](const auto& values) {
        return std::ranges::any_of(values, [](auto x) { return std::abs(static_cast<double>(x)) >= kExactIntegers; });
      },
      table.values);
  return has_large ? exact_values(dataset) : std::vector<long double>{};
}

/// `exact`, where it is not empty, stands for the table's values.
void refuse(const Mark& mark, const std::vector<long double>& exact, const std::string& path, const Origin& origin,
            const Padding& padding, Table& table) {
  const std::int64_t samples = table.dims[0];
  std::visit(
      [&]<class T>(std::vector<T>& values) {
        const std::int64_t count = std::ssize(values), width = count / samples;
        for (std::int64_t i = 0; i < count; ++i) {
          T& value = values[static_cast<std::size_t>(i)];
          if (!mark.is_missing(exact.empty() ? static_cast<long double>(value) : exact[static_cast<std::size_t>(i)]))
            continue;
          if (!padding.holds(i))
            origin.fail(fmt::format("'{}': sample {}, element {} is a missing value ({}; both counted from 0)", path,
                                    i / width, i % width, mark.by),
                        mark.hint);
          value = std::numeric_limits<T>::has_quiet_NaN ? std::numeric_limits<T>::quiet_NaN() : T{0};
        }
      },
      table.values);
}

/// scale_factor and add_offset.
struct Packing {
  double a, b;

  Packing(const h5::Handle& dataset, const std::string& path, const Origin& origin)
      : a(number_of(dataset, "scale_factor", 1, path, origin)), b(number_of(dataset, "add_offset", 0, path, origin)) {
    if (a == 0 || !std::isfinite(a) || !std::isfinite(b))
      origin.fail(
          fmt::format("'{}': its attributes scale_factor {} and add_offset {} leave nothing of its values", path, a, b),
          "store the values as they are meant, without these attributes");
  }
  bool is_none() const { return a == 1 && b == 0; }
};

/// What stands where a netCDF library never wrote, in the files that it made; nothing for bytes, whose every value is
/// one.
std::optional<long double> default_fill(const h5::Handle& file, const h5::Handle& dataset, const h5::Handle& type) {
  const h5::Handle root(H5Gopen2(file.id(), "/", H5P_DEFAULT), H5Gclose, "open a group");
  if (H5Aexists(root.id(), "_NCProperties") <= 0 && H5Aexists(dataset.id(), "DIMENSION_LIST") <= 0 &&
      H5Aexists(dataset.id(), "_Netcdf4Dimid") <= 0)
    return {};
  const h5::Handle plist(H5Dget_create_plist(dataset.id()), H5Pclose, "read how a data set is stored");
  H5D_fill_value_t defined = H5D_FILL_VALUE_DEFAULT;
  h5::check(H5Pfill_value_defined(plist.id(), &defined), "read the value of elements never written");
  if (defined != H5D_FILL_VALUE_USER_DEFINED) return {};
  long double fill = 0;
  h5::check(H5Pget_fill_value(plist.id(), H5T_NATIVE_LDOUBLE, &fill), "read the value of elements never written");
  // NC_FILL_FLOAT and _DOUBLE, then _SHORT, _INT, _INT64 and those of their unsigned kin.
  constexpr double kFractional = 9.9692099683868690e+36;
  constexpr std::array kWhole{-32767.0L, -2147483647.0L, -9223372036854775806.0L,
                              65535.0L,  4294967295.0L,  18446744073709551614.0L};
  const H5T_class_t kind = H5Tget_class(type.id());
  const bool is_default = kind == H5T_FLOAT ? static_cast<double>(fill) == kFractional
                          : kind == H5T_INTEGER
                              ? H5Tget_size(type.id()) > 1 && std::ranges::find(kWhole, fill) != kWhole.end()
                              : false;
  return is_default ? std::optional(fill) : std::nullopt;
}

bool is_fractional(const h5::Handle& dataset, const char* attribute) {
  const h5::Handle opened(H5Aopen(dataset.id(), attribute, H5P_DEFAULT), H5Aclose, "open an attribute");
  const h5::Handle type(H5Aget_type(opened.id()), H5Tclose, "read the type of an attribute");
  return H5Tget_class(type.id()) == H5T_FLOAT;
}

/// The marks in the order in which netCDF's own libraries look at them.
std::vector<Mark> marks_of(const h5::Handle& file, const h5::Handle& dataset, const std::string& path,
                           const Origin& origin) {
  const h5::Handle type(H5Dget_type(dataset.id()), H5Tclose, "read an element type");
  const bool is_whole = H5Tget_class(type.id()) != H5T_FLOAT;
  const bool holds_floats = !is_whole && H5Tget_size(type.id()) == sizeof(float);
  const Packing packing(dataset, path, origin);
  // What is written with more digits than the values have is rounded as they are.
  const auto numbers = [&](const char* attribute, hssize_t most) {
    std::vector<long double> all = numbers_of(dataset, attribute, most, path, origin);
    for (long double& x : all)
      if (!is_whole) x = holds_floats ? static_cast<float>(x) : static_cast<double>(x);
    return all;
  };
  std::vector<Mark> marks;
  for (const char* attribute : {"_FillValue", "missing_value"}) {
    const std::vector<long double> values = numbers(attribute, kMostNumbers);
    const auto is_one = [values](long double x) { return std::ranges::find(values, x) != values.end(); };
    if (!values.empty()) marks.push_back({fmt::format("its attribute {}", attribute), kNotMeant, is_one});
  }
  const auto exclude = [&](const char* attribute, long double low, long double high) {
    // Limits of packed numbers are packed as they are, unless they are of the kind of what is packed.
    const bool is_unpacked = is_whole && !packing.is_none() && is_fractional(dataset, attribute);
    const auto unpacked = [=](long double x) {
      return is_unpacked ? static_cast<double>(x) * packing.a + packing.b : x;
    };
    marks.push_back({fmt::format("its attribute {} excludes it", attribute), kNotMeant,
                     [=](long double x) { return unpacked(x) < low || unpacked(x) > high; }});
  };
  constexpr long double kInfinity = std::numeric_limits<long double>::infinity();
  if (const std::vector<long double> range = numbers("valid_range", 2); range.size() == 2)
    exclude("valid_range", range[0], range[1]);
  else if (!range.empty())
    origin.fail(
        fmt::format("'{}': its attribute valid_range is a single number, expected the least and the most", path),
        "store the values as they are meant, without this attribute");
  if (const std::vector<long double> least = numbers("valid_min", 1); !least.empty())
    exclude("valid_min", least[0], kInfinity);
  if (const std::vector<long double> most = numbers("valid_max", 1); !most.empty())
    exclude("valid_max", -kInfinity, most[0]);
  if (H5Aexists(dataset.id(), "_FillValue") > 0) return marks;
  if (const std::optional<long double> fill = default_fill(file, dataset, type))
    marks.push_back({"netCDF's fill value, of what was never written", "fill the gap, or leave out the sample",
                     [fill](long double x) { return x == *fill; }});
  return marks;
}

}  // namespace

void refuse_missing_values(const h5::Handle& file, const std::string& path, const Origin& origin,
                           const Padding& padding, Table& table) {
  const h5::Handle dataset = open_dataset(file, path);
  const std::vector<Mark> marks = or_damaged(origin, [&] { return marks_of(file, dataset, path, origin); });
  if (marks.empty()) return;
  const std::vector<long double> exact = rounded_values(dataset, table);
  for (const Mark& mark : marks) refuse(mark, exact, path, origin, padding, table);
}

void unpack_numbers(const h5::Handle& file, const std::string& path, const Origin& origin, const Padding& padding,
                    Table& table) {
  const h5::Handle dataset = open_dataset(file, path);
  or_damaged(origin, [&] { refuse_other_sign(dataset, path, origin); });
  const Packing packing(dataset, path, origin);
  if (packing.is_none()) return;
  if (std::holds_alternative<std::vector<std::int64_t>>(table.values))
    origin.fail(
        fmt::format("'{}' holds whole numbers, but its attributes scale_factor and add_offset say that they are "
                    "packed",
                    path),
        "store them unpacked, without these attributes");
  table.values = std::visit(
      [&](const auto& stored) {
        std::vector<double> unpacked(stored.size());
        std::ranges::transform(stored, unpacked.begin(),
                               [&](auto x) { return static_cast<double>(x) * packing.a + packing.b; });
        const std::int64_t width = std::ssize(stored) / table.dims[0];
        for (std::int64_t i = 0; i < std::ssize(stored); ++i)
          if (const auto x = static_cast<double>(stored[static_cast<std::size_t>(i)]);
              std::isfinite(x) && !std::isfinite(unpacked[static_cast<std::size_t>(i)]) && !padding.holds(i))
            origin.fail(
                fmt::format("'{}': sample {}, element {} is {}, which its attributes scale_factor {} and "
                            "add_offset {} make {} (both counted from 0)",
                            path, i / width, i % width, x, packing.a, packing.b, unpacked[static_cast<std::size_t>(i)]),
                "store the values as they are meant, without these attributes");
        return unpacked;
      },
      table.values);
}

}  // namespace backplane
