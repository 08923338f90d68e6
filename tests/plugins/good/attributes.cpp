#include <algorithm>

#include "backplane/plugin.hpp"

namespace {

const char* const kSigns[] = {"plus", "minus", nullptr};

/// Chosen columns of a vector, times a factor, the whole repeated: an attribute of every kind.
///
///   z(n, r·C + c) = ± factor · a(n, columns[c])
struct Pick {
  bool reverse = false;
  std::int64_t repeat = 1;
  double factor = 0.5;
  std::string sign = "plus";
  std::string note = "it's: a #note";  // YAML would read it as something else without quotes
  bp::Dims columns{0, 1};
  std::int32_t shift = 0;
  float gain = 1.0f;
  std::int64_t offset = 0;

  static void describe(bp::About<Pick>& about) {
    about.name("pick").summary("chosen columns, times a factor").version(3);
    about.attribute("reverse", &Pick::reverse, "from the last column to the first");
    about.attribute("repeat", &Pick::repeat, "how often").at_least(1).at_most(4);
    about.attribute("factor", &Pick::factor, "the factor").at_least(-2).at_most(2);
    about.attribute("sign", &Pick::sign, "of the factor").one_of(kSigns);
    about.attribute("note", &Pick::note, "any text, without effect");
    about.attribute("columns", &Pick::columns, "which columns").at_least(0).at_most(99);
    about.attribute("shift", &Pick::shift, "added to every column number").at_least(-5);
    about.attribute("gain", &Pick::gain, "another factor");
    about.attribute("offset", &Pick::offset, "number of columns left out in front").required().at_least(0);
  }
  void plan(bp::Plan& plan) const {
    if (plan.input(0).size() != 1) throw bp::Error("wants vectors");
    const std::int64_t extent = plan.input(0)[0];
    for (const std::int64_t column : columns)
      if (column + first() < 0 || column + first() >= extent)
        throw bp::Error("column " + std::to_string(column + first()) + " is beyond an input of " +
                        std::to_string(extent));
    plan.output({repeat * static_cast<std::int64_t>(columns.size())});
  }
  template <class T>
  void forward(const bp::Call<T>& call) const {
    const auto z = call.output();
    for (std::int64_t n = 0; n < call.samples(); ++n)
      for (std::int64_t c = 0; c < z.columns(); ++c)
        z(n, c) = static_cast<T>(signed_factor()) * call.input(0)(n, source(c));
  }
  template <class T>
  void backward(const bp::Call<T>& call) const {
    const auto d_a = call.d_input(0);
    if (!d_a) return;
    std::fill_n(d_a.data(), d_a.size(), T(0));
    for (std::int64_t n = 0; n < call.samples(); ++n)
      for (std::int64_t c = 0; c < call.delta().columns(); ++c)
        d_a(n, source(c)) += static_cast<T>(signed_factor()) * call.delta()(n, c);
  }

 private:
  std::int64_t first() const { return offset + shift; }
  double signed_factor() const { return (sign == "minus" ? -1.0 : 1.0) * factor * static_cast<double>(gain); }
  std::int64_t source(std::int64_t c) const {
    const auto count = static_cast<std::int64_t>(columns.size());
    const std::int64_t item = reverse ? count - 1 - c % count : c % count;
    return columns[static_cast<std::size_t>(item)] + first();
  }
};

/// a = z·steepness: an activation with an attribute.
struct Steep {
  double steepness = 2.0;

  static void describe(bp::About<Steep>& about) {
    about.name("steep").summary("steepness·z");
    about.attribute("steepness", &Steep::steepness, "∂a/∂z").at_least(0).at_most(10);
  }
  template <class T>
  void forward(const T* z, T* a, std::int64_t rows, std::int64_t features) const {
    for (std::int64_t i = 0; i < rows * features; ++i) a[i] = static_cast<T>(steepness) * z[i];
  }
  template <class T>
  void backward(const T*, const T*, const T* d_activation, T* delta, std::int64_t rows, std::int64_t features) const {
    for (std::int64_t i = 0; i < rows * features; ++i) delta[i] = static_cast<T>(steepness) * d_activation[i];
  }
};

}  // namespace

BP_PLUGIN("test.attributes", "1.2.3", "MIT", "attributes of every kind", bp::layers<Pick>, bp::activations<Steep>)
