#include "initializers/each_element.h"

namespace backplane::kinds {

using config::Schema;

namespace {

std::vector<double> all(const Uninitialized& parameter, double value) {
  return each_element(parameter, [&](std::size_t) { return value; });
}

}  // namespace

InitializerKind zeros() {
  return {.name = "zeros",
          .doc = "all 0",
          .options = Schema::map(),
          .values = [](const config::Node&, const Uninitialized& parameter) { return all(parameter, 0.0); }};
}

InitializerKind ones() {
  return {.name = "ones",
          .doc = "all 1",
          .options = Schema::map(),
          .values = [](const config::Node&, const Uninitialized& parameter) { return all(parameter, 1.0); }};
}

InitializerKind constant() {
  return {.name = "constant",
          .doc = "all the same",
          .options = Schema::map().required("value", Schema::number(), "the number"),
          .values = [](const config::Node& options, const Uninitialized& parameter) {
            return all(parameter, options.at("value").as_number());
          }};
}

}  // namespace backplane::kinds
