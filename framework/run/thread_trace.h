#pragma once

#include "files/output.h"
#include "network/network.h"
#include "parallel/task_log.h"

namespace backplane {

/// A stopped log as Chrome's trace events (JSON), which Perfetto (ui.perfetto.dev) and chrome://tracing open: one track
/// a worker, each task named by what it does, its layer and its slice or tile. Throws UserError (io).
void write_thread_trace(const Output& output, const TaskLog& log, const Network& network);

}  // namespace backplane
