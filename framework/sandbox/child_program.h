#pragma once

#include <sys/types.h>

#include <vector>

#include "files/descriptor.h"

namespace backplane {

/// Work that a child process does. The child is this program, started anew, not a fork: it has nothing of this
/// process's memory, so that it does not matter what other threads and libraries are in the middle of.
struct ChildJob {
  const char* name;  ///< by which the child finds it in the table that its main has
  void (*work)();    ///< it may also end the process by itself
};

/// What a child has open: the three streams, which are /dev/null (under sanitizers stderr is its parent's), and these.
constexpr int kChildConnection = 3;  ///< its end of a socket; its parent has the other
constexpr int kChildFile = 4;        ///< the file that its parent handed over, if any

struct StartedChild {
  pid_t process;          ///< the caller waits for its end
  Descriptor connection;  ///< a socket, which the child's end closes
};

/// Starts this program for a job of its table, and hands over a file that is open here (`file`; -1: none). The child
/// begins with all signals blocked and at their defaults, with this process's environment and working directory.
/// Called on any thread. Throws std::system_error where no process can be started, InternalError where main has not
/// called do_job_of_parent.
StartedChild start_child(const ChildJob& job, int file = -1);

/// The door for it: does the job and ends the process, where that was started by start_child; else returns.
/// REQUIRES: called by main, before it does anything else; every program that calls start_child has to.
void do_job_of_parent(int argc, char** argv, const std::vector<ChildJob>& table);

/// The rest of what makes a job's process a child: it dies with its parent, and makes no core file. Called by jobs,
/// which their parents tell who they are.
void follow_parent(pid_t parent);

}  // namespace backplane
