// RunLedger: who came and went in a run, and what the losses among them cost.
//
// Work is worker time: the time that rounds are under way, times the members that are at them.
// When a member is lost, what all members did since the round at hand began is dropped; then, until
// the rounds that were under way are done, nothing is done that is new: its shards are brought up
// to where the others are, histograms that it owned are built again, rounds are done again. All of
// that is work lost, and so is building again what one owned who leaves in the middle of a tree.
// That the others stand still until its shards have been read is counted apart, as time, and so is
// how long it takes until the run is where it was.
//
// Promise: nothing is estimated, all figures are differences of the times that the coordinator was
// told. If nobody is lost or leaves, exactly 0 is lost; never is it more than the work. Memory is
// bounded: of many events and losses the oldest go, the sums stay. Pure.
//
//   ledger.lose("w2", /*rounds=*/2, now);
//   ledger.begin_view(/*members=*/3, /*rounds=*/3, now);
//   ledger.finish_round(/*is_rebuild=*/true, now);
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

namespace evergrove::cluster {

using Time = std::chrono::milliseconds;  // since any fixed moment, never going back

struct RunEvent {
  // Active: from then on it counts rows, where it did not before. Overtaken: it was not heard, and
  // others have done its part; it may come back.
  enum Kind : uint8_t { joined, active, leaving, left, lost, overtaken };
  Time at{0};
  Kind kind = joined;
  std::string worker;
  uint64_t iterations = 0;  // done then
};
const char* name_of(RunEvent::Kind kind);

struct Loss {
  std::string worker;
  Time at{0};          // when it was noticed
  size_t members = 0;  // at work until then, it among them; 0: nothing was under way
  size_t rounds = 0;   // that were under way
  Time dropped{0};     // work of all members in these rounds
  Time redone{0};      // work of all members until the rounds were done
  Time standing{0};    // time until all shards were held again
  Time recovery{0};    // time until the rounds were done again
  bool is_made_good = true;
};

struct RunCosts {
  Time work{0};       // all of it, what was lost included
  Time work_lost{0};  // dropped and redone
  Time recovery{0};   // of all losses; while two overlap it counts once
};

class RunLedger {
 public:
  void note(RunEvent::Kind kind, const std::string& worker, uint64_t iterations, Time now);

  // A member of the view, at so many rounds; or one that was none, at 0.
  void lose(const std::string& worker, size_t rounds, Time now);
  // With so many rounds that are under way from now on, those of before among them.
  void begin_view(size_t members, size_t rounds, Time now);
  void begin_round(Time now);
  // The rounds are finished in their order.
  void finish_round(bool is_rebuild, Time now);
  // The tree or the run is done, and what is under way is of no use.
  void forget_rounds(Time now);

  RunCosts costs(Time now) const;
  const std::deque<RunEvent>& events() const { return events_; }
  const std::deque<Loss>& losses() const { return losses_; }

  static constexpr size_t kKept = 500;  // events, and losses

 private:
  Time worked(Time now) const;
  void recover(Time now);

  std::deque<RunEvent> events_;
  std::deque<Loss> losses_;
  RunCosts costs_;
  size_t members_ = 0;
  size_t rounds_ = 0;                     // under way
  size_t rounds_again_ = 0;               // of them, until the run is where it was
  std::optional<Time> since_;             // when the first of them began to be done
  std::optional<Time> view_lost_at_;      // since when there is no view
  std::optional<Time> recovering_since_;  // since when some losses are not made good
};

}  // namespace evergrove::cluster
