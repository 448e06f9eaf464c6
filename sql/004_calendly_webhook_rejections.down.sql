drop table if exists calendly_webhook_rejections;
