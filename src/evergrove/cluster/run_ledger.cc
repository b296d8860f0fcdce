// SPDX-License-Identifier: Apache-2.0
#include "evergrove/cluster/run_ledger.h"

#include <algorithm>

namespace evergrove::cluster {

const char* name_of(RunEvent::Kind kind) {
  switch (kind) {
    case RunEvent::joined:
      return "joined";
    case RunEvent::active:
      return "active";
    case RunEvent::leaving:
      return "leaving";
    case RunEvent::left:
      return "left";
    case RunEvent::lost:
      return "lost";
    case RunEvent::overtaken:
      return "overtaken";
  }
  return "";
}

void RunLedger::note(RunEvent::Kind kind, const std::string& worker, uint64_t iterations,
                     Time now) {
  events_.push_back({now, kind, worker, iterations});
  if (events_.size() > kKept) events_.pop_front();
}

// Of all members, since the round at hand began.
Time RunLedger::worked(Time now) const {
  return since_ ? (now - *since_) * static_cast<int64_t>(members_) : Time{0};
}

void RunLedger::lose(const std::string& worker, size_t rounds, Time now) {
  Loss& loss = losses_.emplace_back();
  loss.worker = worker;
  loss.at = now;
  if (rounds > 0) {
    loss.is_made_good = false;
    if (!recovering_since_) recovering_since_ = now;
    // The second one that is lost before the next view has nothing more under way.
    if (!view_lost_at_) {
      loss.members = members_;
      loss.rounds = rounds;
      loss.dropped = worked(now);
      costs_.work += loss.dropped;
      costs_.work_lost += loss.dropped;
      since_.reset();
      view_lost_at_ = now;
    }
  }
  if (losses_.size() > kKept) losses_.pop_front();
}

void RunLedger::begin_view(size_t members, size_t rounds, Time now) {
  costs_.work += worked(now);
  if (view_lost_at_) {
    for (Loss& loss : losses_) {
      if (!loss.is_made_good) loss.standing += now - std::max(loss.at, *view_lost_at_);
    }
    view_lost_at_.reset();
  }
  members_ = members;
  rounds_ = rounds;
  rounds_again_ = rounds;
  since_.reset();
  if (rounds > 0) since_ = now;
  if (rounds == 0) recover(now);
}

void RunLedger::begin_round(Time now) {
  if (rounds_++ == 0) since_ = now;
}

void RunLedger::finish_round(bool is_rebuild, Time now) {
  const Time work = worked(now);
  costs_.work += work;
  if (is_rebuild || recovering_since_) costs_.work_lost += work;
  if (recovering_since_) losses_.back().redone += work;
  since_.reset();
  if (rounds_ > 0 && --rounds_ > 0) since_ = now;
  if (rounds_again_ > 0 && --rounds_again_ == 0) recover(now);
}

void RunLedger::forget_rounds(Time now) {
  const Time work = worked(now);
  costs_.work += work;
  if (recovering_since_) {
    costs_.work_lost += work;
    losses_.back().redone += work;
  }
  since_.reset();
  rounds_ = 0;
  recover(now);
}

void RunLedger::recover(Time now) {
  rounds_again_ = 0;
  if (!recovering_since_) return;
  for (Loss& loss : losses_) {
    if (loss.is_made_good) continue;
    loss.recovery = now - loss.at;
    loss.is_made_good = true;
  }
  costs_.recovery += now - *recovering_since_;
  recovering_since_.reset();
}

RunCosts RunLedger::costs(Time now) const {
  RunCosts costs = costs_;
  costs.work += worked(now);
  if (recovering_since_) costs.recovery += now - *recovering_since_;
  return costs;
}

}  // namespace evergrove::cluster
