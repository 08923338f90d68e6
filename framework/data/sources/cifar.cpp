#include <fmt/format.h>

#include "data/cifar.h"
#include "data/folders.h"
#include "data/section.h"
#include "data/sources.h"

namespace backplane::sources {

using config::Node;
using config::Schema;

namespace {

Schema cifar_options(Cifar which) {
  return Schema::map().optional("folder", Schema::text(), std::nullopt,
                                fmt::format("where the binary version is; where left out, {} in $BACKPLANE_DATA, then "
                                            "in /usr/share/datasets",
                                            cifar_folder(which)));
}

template <Cifar which>
DataSet read_cifar(const Node& map, std::uint64_t seed) {
  const Node* folder = map.find("folder");
  return prepared(load_cifar(which, folder ? folder->as_text() : find_cifar(which, data_folders())), map, seed);
}

}  // namespace

DataSource cifar10() {
  return {.name = "cifar10",
          .doc = "colour images of 10 classes",
          .options = with_preparation(cifar_options(Cifar::ten)),
          .load = read_cifar<Cifar::ten>};
}

DataSource cifar100() {
  return {.name = "cifar100",
          .doc = "colour images of 100 (fine) classes",
          .options = with_preparation(cifar_options(Cifar::hundred)),
          .load = read_cifar<Cifar::hundred>};
}

}  // namespace backplane::sources
