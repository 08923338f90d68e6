#include "initializers/table.h"

#include <algorithm>

#include "base/error.h"

namespace backplane {

namespace kinds {
InitializerKind zeros(), ones(), constant(), uniform(), normal(), glorot_uniform(), glorot_normal(), he_uniform(),
    he_normal(), lecun_uniform(), lecun_normal(), orthogonal(), values();
}  // namespace kinds

const std::vector<InitializerKind>& initializers() {
  using namespace kinds;
  static const std::vector<InitializerKind> kAll{
      zeros(),      ones(),      constant(),      uniform(),      normal(),     glorot_uniform(), glorot_normal(),
      he_uniform(), he_normal(), lecun_uniform(), lecun_normal(), orthogonal(), kinds::values()};
  return kAll;
}

config::Schema initializer_schema() {
  config::Schema schema = config::Schema::choice("initialiser");
  for (const InitializerKind& kind : initializers()) schema.alternative(kind.name, kind.options, kind.doc);
  return schema;
}

void initialize(const config::Node& choice, const Uninitialized& parameter, DType dtype, void* values) {
  const auto found = std::ranges::find(initializers(), choice.chosen(), &InitializerKind::name);
  BP_ASSERT(found != initializers().end());
  const std::vector<double> wide = found->values(choice.choice(), parameter);
  dispatch(dtype, [&]<class T>(T) {
    std::ranges::transform(wide, static_cast<T*>(values), [](double value) { return static_cast<T>(value); });
  });
}

}  // namespace backplane
