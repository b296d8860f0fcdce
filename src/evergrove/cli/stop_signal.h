// StopSignal: SIGINT and SIGTERM as a flag that a run looks at between two steps.
//
// The first signal sets the flag, so that the record at hand is finished; a second one ends the
// process at once with exit code 4, which is safe too, for the log survives even SIGKILL. The
// handlers stand as long as the object does, of which there is one at a time.
//
//   StopSignal stop;
//   while (!stop.arrived()) ...
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace evergrove::cli {

class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  bool arrived() const;
};

}  // namespace evergrove::cli
