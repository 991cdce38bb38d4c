#include "server/commit_group.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "server/session.h"

namespace varve::server {

void CommitGroup::Join(Session& session, engine::Lsn lsn) {
  const bool waits_for_disk = lsn != 0 && engine_.sync_mode() == engine::SyncMode::kAlways;
  Group& group = waits_for_disk ? syncing_ : gathering_;
  group.sessions.push_back(&session);
  group.lsn = std::max(group.lsn, lsn);
  if (posted_) return;
  posted_ = true;
  // Behind the connections that are ready now, so that they get into this group.
  asio::post(context_, [this] {
    posted_ = false;
    if (!syncing_.sessions.empty()) CommitDurably();
    if (!gathering_.sessions.empty()) Commit();
  });
}

void CommitGroup::Commit() {
  // A session that is resumed may join the next group at once.
  std::swap(gathering_, committing_);
  engine::Result<void> outcome;
  if (committing_.lsn != 0) outcome = engine_.WriteLog(committing_.lsn);
  Resume(committing_, outcome);
  committing_.sessions.clear();
  committing_.lsn = 0;
}

void CommitGroup::CommitDurably() {
  // The loop goes on meanwhile, so several groups may be under way.
  auto group = std::make_shared<Group>(std::exchange(syncing_, {}));
  engine_.WhenDurable(group->lsn, [this, group](engine::Result<void> outcome) {
    asio::post(context_, [this, group, outcome = std::move(outcome)] {
      if (outcome) durable_ = std::max(durable_, group->lsn);
      Resume(*group, outcome);
    });
  });
}

void CommitGroup::Resume(const Group& group, const engine::Result<void>& outcome) {
  if (!outcome && !failed_) {
    failed_ = true;
    log_.error("Writes are refused from now on, the log can't be written: {}",
               outcome.error().context);
  }
  for (Session* session : group.sessions) session->OnCommitted(outcome);
}

}  // namespace varve::server
