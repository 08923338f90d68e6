#pragma once

#include "inspect/print_in_child.h"
#include "inspect/target.h"
#include "inspect/values.h"

namespace backplane {

struct InspectRequest {
  std::string path;
  Selection selection;  ///< an empty tensor: an overview, of one layer where that is named
  bool all = false;
  bool json = false;
};

/// Shows what a checkpoint, a trace or a run holds. Files are opened in children: damage and malice end as UserError
/// (bad_data) that names the file. `warn` hears of a checkpoint that no manifest vouches for.
void inspect(const InspectRequest& request, const Print& print, const Print& warn);

/// What the children of inspect do.
extern const ChildJob kInspectFile, kInspectNewest, kInspectSummary;

}  // namespace backplane
