// PartBoard: who reads which part while a run's data is described.
//
// Promise: each part is finished once, by whoever answers first; a part of a reader that is gone is
// given to another one; a reader with nothing else to do reads what another has had longest, so
// that none is waited for. What a reader cannot read is tried by one more; then it has failed, and
// when all parts are finished or failed, the failure of the first part counts: it is the same
// whoever read. Pure: no clock, no connections.
//
//   PartBoard board(requests.size());
//   board.add_reader(7);
//   while (auto part = board.next(7)) ask(7, *part);
//   if (board.finish(7, part)) use(answer);
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "evergrove/base/status.h"

namespace evergrove::cluster {

class PartBoard {
 public:
  using Reader = uint64_t;

  explicit PartBoard(size_t part_count) : parts_(part_count) {}

  // Both may be called again for the same reader.
  void add_reader(Reader reader) { readers_.try_emplace(reader); }
  void remove_reader(Reader reader);
  size_t reader_count() const { return readers_.size(); }

  // A part that the reader is to read now, beside those that it was given before; it is given two
  // at a time, so that it need not wait for the next.
  std::optional<size_t> next(Reader reader);
  // Returns whether the answer counts: it is the first, be it of one that was given up.
  bool finish(Reader reader, size_t part);
  void fail(Reader reader, size_t part, Status why);

  size_t part_count() const { return parts_.size(); }
  size_t done_count() const { return done_count_; }  // finished or failed
  bool is_done() const { return done_count_ == parts_.size(); }
  // Of the first part that failed; ok if none has.
  Status failure() const;

 private:
  struct Part {
    bool is_done = false;
    uint64_t given_at = 0;        // the last time; 0: never
    std::set<Reader> readers;     // who have it now
    std::set<Reader> has_failed;  // at these
    Status failure;
  };
  bool may_take(const Part& part, Reader reader) const;
  void give_back(Reader reader, size_t part);

  std::vector<Part> parts_;
  std::map<Reader, size_t> readers_;  // how many parts each has
  size_t done_count_ = 0;
  uint64_t gifts_ = 0;
};

}  // namespace evergrove::cluster
