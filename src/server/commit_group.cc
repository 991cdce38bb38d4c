#include "server/commit_group.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "server/session.h"

namespace varve::server {
namespace {

// What a loop writes to the log itself: a few ms.
constexpr uint64_t kLoopWriteBytesMax = 8 << 20;

constexpr size_t kAnswersAtOnce = 16;

}  // namespace

void CommitGroup::Join(Session& session, engine::Lsn lsn) {
  // A write of hundreds of MB is left to the log's own thread, which syncs it along: this loop's
  // other connections do not wait for it. Those that write do, since the log has one order.
  const bool waits_for_disk = lsn != 0 && (engine_.sync_mode() == engine::SyncMode::kAlways ||
                                           lsn > engine_.log_written() + kLoopWriteBytesMax);
  Group& group = waits_for_disk ? syncing_ : gathering_;
  group.sessions.push_back(&session);
  group.lsn = std::max(group.lsn, lsn);
  PostCommit();
}

// Behind the connections that are ready now, so that they get into this group.
void CommitGroup::PostCommit() {
  if (std::exchange(posted_, true)) return;
  asio::post(context_, [this] {
    posted_ = false;
    if (!sync_under_way_ && !syncing_.sessions.empty()) CommitDurably();
    if (!gathering_.sessions.empty()) Commit();
  });
}

void CommitGroup::Commit() {
  // A session that is resumed may join the next group at once.
  std::swap(gathering_, committing_);
  engine::Result<void> outcome;
  if (committing_.lsn != 0) outcome = engine_.WriteLog(committing_.lsn);
  NoteOutcome(outcome);
  for (Session* session : committing_.sessions) session->OnCommitted(outcome);
  committing_.sessions.clear();
  committing_.lsn = 0;
}

// The loop goes on meanwhile. Who joins until the disk answers makes up the next group: a sync
// costs the same for one as for all, and asking for each pass's few at once would keep the disk,
// and the threads around it, busy with many small ones.
void CommitGroup::CommitDurably() {
  sync_under_way_ = true;
  std::swap(syncing_, durable_group_);
  // If all that the loop has wait for this, nobody is held up when it syncs by itself, and two
  // changes of threads are saved: one client gets a fifth more done.
  if (durable_group_.sessions.size() == connections_ &&
      durable_group_.lsn <= engine_.log_written() + kLoopWriteBytesMax) {
    return FinishDurably(engine_.SyncLog(durable_group_.lsn));
  }
  engine_.WhenDurable(durable_group_.lsn, [this](engine::Result<void> outcome) {
    asio::post(context_, [this, outcome = std::move(outcome)] { FinishDurably(outcome); });
  });
}

void CommitGroup::FinishDurably(const engine::Result<void>& outcome) {
  if (outcome) durable_ = std::max(durable_, durable_group_.lsn);
  NoteOutcome(outcome);
  sync_under_way_ = false;
  const bool answering = !answers_.empty();
  for (Session* session : durable_group_.sessions) answers_.emplace_back(session, outcome);
  durable_group_.sessions.clear();
  durable_group_.lsn = 0;
  // First the disk gets its next work, then the peers their replies.
  if (!syncing_.sessions.empty()) CommitDurably();
  if (!answering) AnswerSome();
}

// A few at a time, with a turn for who is ready in between: so the disk gets the next writes of the
// first ones while the others are still being answered. All at once, clients and disk would take
// turns, each waiting for the other.
void CommitGroup::AnswerSome() {
  for (size_t i = 0; i < kAnswersAtOnce && !answers_.empty(); ++i) {
    const auto [session, outcome] = std::move(answers_.front());
    answers_.pop_front();
    session->OnCommitted(outcome);
  }
  if (!answers_.empty()) asio::post(context_, [this] { AnswerSome(); });
}

void CommitGroup::NoteOutcome(const engine::Result<void>& outcome) {
  if (outcome || failed_) return;
  failed_ = true;
  log_.error("Writes are refused from now on, the log can't be written: {}",
             outcome.error().context);
}

}  // namespace varve::server
