#include "child_jobs/child_jobs.h"

#include "checkpoint/reader.h"
#include "data/hdf5_tables.h"
#include "inspect/diff.h"
#include "inspect/inspect.h"
#include "plugin_host/library.h"
#include "recording/copy_records.h"
#include "recording/repair.h"

namespace backplane {

std::vector<ChildJob> child_jobs() {
  return {kReadHdf5,       kReadCheckpoint, kInspectFile, kInspectNewest, kInspectSummary, kCompareFiles,
          kCompareMetrics, kReadAlone,      kCopyRecords, kLookAtTrace,   kTryPlugin};
}

}  // namespace backplane
